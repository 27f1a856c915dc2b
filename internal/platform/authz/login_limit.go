package authz

import (
	"sync"
	"time"
)

// Failed logins within failedWindow after which no more are tried. A user's own bound from one address is narrow; the
// bound over all addresses is wide, so that a stranger can't easily lock somebody out.
const (
	failedWindow      = 15 * time.Minute
	failedUserAddress = 5
	failedAddress     = 30
	failedUser        = 100
	maxRemembered     = 20_000
)

// failures counts failed logins in memory; a restart forgives.
type failures struct {
	sync.Mutex
	of    map[string]*failure
	swept time.Time
}

type failure struct {
	count int
	since time.Time
}

// try counts a login as failed before it is verified, so that many at once can't all slip through; settle takes
// it back where it was none.
func (f *failures) try(name, addr string, now time.Time) (settle func(failed bool), err error) {
	if len(name) > maxSecret {
		name = name[:maxSecret]
	}
	keys := map[string]int{"both\x00" + name + "\x00" + addr: failedUserAddress, "address\x00" + addr: failedAddress, "user\x00" + name: failedUser}
	f.Lock()
	defer f.Unlock()
	for key, most := range keys {
		if x := f.of[key]; x != nil && now.Sub(x.since) < failedWindow && x.count >= most {
			return nil, ErrTooMany
		}
	}
	if len(f.of)+len(keys) > maxRemembered {
		if now.Sub(f.swept) >= time.Second { // not for each login of a flood
			f.swept = now
			for key, x := range f.of {
				if now.Sub(x.since) >= failedWindow {
					delete(f.of, key)
				}
			}
		}
		if len(f.of)+len(keys) > maxRemembered {
			return nil, ErrTooMany // a flood from very many addresses
		}
	}
	for key := range keys {
		x := f.of[key]
		if x == nil || now.Sub(x.since) >= failedWindow {
			x = &failure{since: now}
			f.of[key] = x
		}
		x.count++
	}
	return func(failed bool) {
		if failed {
			return
		}
		f.Lock()
		defer f.Unlock()
		for key := range keys {
			if x := f.of[key]; x != nil {
				if x.count--; x.count <= 0 {
					delete(f.of, key)
				}
			}
		}
	}, nil
}
