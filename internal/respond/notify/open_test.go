package notify

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestOpenMakesWhatIsConfigured(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good, large, short := file("good", []byte(secret+"\n")), file("large", bytes.Repeat([]byte("x"), 5<<10)), file("short", []byte("x"))
	hook := func(secretFile string) config.Notify {
		return config.Notify{RepeatAfter: time.Hour, PerHour: 5, Webhooks: []config.Webhook{{Name: "w", URL: "https://a.example/", SecretFile: secretFile,
			Audience: config.Audience{Tenants: []tenant.ID{"acme"}}, MinSeverity: ocsf.SeverityMedium}}}
	}
	c := hook(good)
	c.Mail = []config.Mail{{Name: "m", Host: "h", Port: 465, TLS: config.MailTLS, Username: "u", PasswordFile: good, From: "a@b.example", To: []string{"c@d.example"}, Audience: config.Audience{All: true}}}
	channels, rules, transports, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(channels) != 2 || channels[0].All || !channels[0].Scope.Sees("acme") || channels[0].Scope.Sees("nord") || channels[0].Min != ocsf.SeverityMedium ||
		!channels[1].All || rules.PerHour != 5 || rules.RepeatAfter != time.Hour || transports["w"] == nil || transports["m"] == nil {
		t.Errorf("%+v %+v %v", channels, rules, transports)
	}
	for name, f := range map[string]string{"missing": filepath.Join(dir, "none"), "too large": large, "too short": short} {
		if _, _, _, err := Open(hook(f)); err == nil || !strings.HasPrefix(err.Error(), `opening the webhook "w": `) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := config.Notify{Mail: []config.Mail{{Name: "m", TLS: config.MailPlain, Username: "u", PasswordFile: good, From: "a@b.example", To: []string{"c@d.example"}}}}
	if _, _, _, err := Open(bad); err == nil {
		t.Error("a password in the clear")
	}
}
