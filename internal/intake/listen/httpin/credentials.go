package httpin

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// maxCredentials bounds the Authorization header that is looked at.
const maxCredentials = 4 << 10

// sender returns the binding of who sent the request, or the answer to who may not send.
func (h *Handler) sender(r *http.Request) (*listen.Binding, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, refuse(http.StatusUnauthorized, "security_exception", "a sender's token is needed: Authorization: Bearer TOKEN")
	}
	for _, token := range tokensOf(header) {
		b, err := h.opt.Authenticate(r.Context(), token)
		switch {
		case err == nil && b != nil:
			return b, nil
		case errors.Is(err, ErrNotSender):
			return nil, refuse(http.StatusForbidden, "security_exception", "this token may not send: create one with the role sensor")
		case err != nil && !errors.Is(err, ErrUnknown):
			h.opt.Log.Error("a token could not be looked up", "error", err) // the token is not in it
			p := refuse(http.StatusServiceUnavailable, "security_exception", "tokens can't be looked up now; send the request again")
			p.retry = time.Second
			return nil, p
		}
	}
	return nil, refuse(http.StatusUnauthorized, "security_exception", "this token is not known, or no longer valid")
}

// tokensOf returns what in an Authorization header may be the token, the likeliest first.
func tokensOf(header string) []string {
	if len(header) > maxCredentials {
		return nil
	}
	scheme, value, _ := strings.Cut(header, " ")
	value = strings.TrimSpace(value)
	var out []string
	add := func(token string) {
		if token != "" {
			out = append(out, token)
		}
	}
	switch strings.ToLower(scheme) {
	case "bearer":
		add(value)
	case "basic": // RFC 7617; some senders have a field for a user alone
		if text, err := base64.StdEncoding.DecodeString(value); err == nil {
			user, password, _ := strings.Cut(string(text), ":")
			add(password)
			add(user)
		}
	case "apikey": // Elasticsearch: base64 of id:key; some senders encode it, some take it encoded
		if text, err := base64.StdEncoding.DecodeString(value); err == nil {
			if _, key, found := strings.Cut(string(text), ":"); found {
				add(key)
			}
		}
		if _, key, found := strings.Cut(value, ":"); found {
			add(key)
		}
		add(value)
	}
	return out
}
