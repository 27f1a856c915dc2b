package notify

import (
	"fmt"
	"os"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// maxSecretFile bounds a file with a secret, in bytes.
const maxSecretFile = 4 << 10

// Open reads the secrets of the configured channels and returns the channels for a Planner, their limits, and their
// transports for a Sender. Nothing is connected to yet.
func Open(c config.Notify) ([]Channel, Rules, map[string]Transport, error) {
	rules := Rules{RepeatAfter: c.RepeatAfter, PerHour: c.PerHour}
	var channels []Channel
	transports := map[string]Transport{}
	for _, w := range c.Webhooks {
		secret, err := secretFile(w.SecretFile)
		if err != nil {
			return nil, rules, nil, fmt.Errorf("opening the webhook %q: %w", w.Name, err)
		}
		hook, err := NewWebhook(w.URL, secret, w.AllowPrivate)
		if err != nil {
			return nil, rules, nil, fmt.Errorf("opening the webhook %q: %w", w.Name, err)
		}
		channels = append(channels, Channel{Name: w.Name, All: w.All, Scope: w.Scope(), Min: w.MinSeverity})
		transports[w.Name] = hook
	}
	for _, m := range c.Mail {
		mail := &Mail{Host: m.Host, Port: m.Port, TLS: m.TLS, Username: m.Username, From: m.From, To: m.To, Private: m.AllowPrivate || m.TLS == config.MailPlain}
		if m.PasswordFile != "" {
			password, err := secretFile(m.PasswordFile)
			if err != nil {
				return nil, rules, nil, fmt.Errorf("opening the mail channel %q: %w", m.Name, err)
			}
			mail.Password = password
		}
		if err := mail.Check(); err != nil {
			return nil, rules, nil, fmt.Errorf("opening the mail channel %q: %w", m.Name, err)
		}
		channels = append(channels, Channel{Name: m.Name, All: m.All, Scope: m.Scope(), Min: m.MinSeverity})
		transports[m.Name] = mail
	}
	return channels, rules, transports, nil
}

func secretFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w; make the file, readable by breakwater alone", err)
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, maxSecretFile)
	if err != nil {
		return nil, fmt.Errorf("reading the secret in %s: %w", name, err)
	}
	return data, nil
}
