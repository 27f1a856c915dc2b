package authz

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Limits of a password.
const (
	MinPassword = 12   // characters
	MaxPassword = 1024 // bytes
)

// cost is what one hash takes: the second choice of RFC 9106, section 4, with half of its memory and one lane, since
// a small machine must stand a flood of logins.
var cost = argonCost{memory: 32 << 10, time: 3, threads: 1}

type argonCost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

const (
	saltBytes = 16
	keyBytes  = 32
	// hashing is how many passwords are hashed at once, and waiting how many may wait for it: memory is bounded by
	// the first and time by the second.
	hashing = 2
	waiting = 16
)

// CheckPassword says why a password can't be used; nil where it can.
func CheckPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return fmt.Errorf("the password has %d characters: use at least %d", n, MinPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("the password has %d bytes: use at most %d", len(password), MaxPassword)
	}
	return nil
}

// HashPassword returns the argon2id hash of a password, in the PHC string format.
func (a *Authority) HashPassword(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	leave, err := a.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, cost.time, cost.memory, cost.threads, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, cost.memory, cost.time, cost.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// verify reports whether the password is that of the hash. Where there is none it takes as long, so that nobody
// learns from the time which users there are.
func (a *Authority) verify(ctx context.Context, password, hash string) (bool, error) {
	if len(password) > MaxPassword {
		return false, nil
	}
	leave, err := a.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	h, err := parseHash(hash)
	if err != nil {
		argon2.IDKey([]byte(password), make([]byte, saltBytes), cost.time, cost.memory, cost.threads, keyBytes)
		return false, nil
	}
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

// enter waits for a place among those that hash; ErrBusy where too many wait already.
func (a *Authority) enter(ctx context.Context) (leave func(), err error) {
	select {
	case a.queue <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case a.hashing <- struct{}{}:
		return func() { <-a.hashing; <-a.queue }, nil
	case <-ctx.Done():
		<-a.queue
		return nil, ctx.Err()
	}
}

type passwordHash struct {
	argonCost
	salt, key []byte
}

// parseHash reads $argon2id$v=19$m=…,t=…,p=…$salt$key. A cost far over ours is refused: the hash may come from a
// file that somebody else wrote.
func parseHash(text string) (passwordHash, error) {
	var h passwordHash
	if len(text) > 512 {
		return h, errors.New("the hash of the password is too long")
	}
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errors.New("the hash of the password is not argon2id of version 19")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return h, errors.New("the hash of the password says no cost")
	}
	if h.threads < 1 || h.threads > 8 || h.time < 1 || h.time > 10 || h.memory < 8*uint32(h.threads) || h.memory > 256<<10 {
		return h, errors.New("the hash of the password has a cost out of bounds")
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.key) < 16 || len(h.key) > 64 {
		return h, errors.New("the hash of the password has no salt or no key")
	}
	return h, nil
}
