package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
)

func TestObservedMailIsCountedAndListed(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "mail")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	none := func(s string) { t.Error(s) }
	o, err := openObserved(dir, none)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for i := range 10 {
		o.take(mailgate.Observed{Time: noon.Add(time.Duration(i) * time.Minute), Tenant: "acme", Direction: "in", Would: "pass", Score: 0.01}, false)
	}
	o.take(mailgate.Observed{Time: noon, Tenant: "acme", Direction: "in", Would: "hold", Score: 0.93, Subject: "first"}, true)
	o.take(mailgate.Observed{Time: noon.Add(time.Hour), Tenant: "borg", Direction: "in", Would: "reject", Score: 0.99, Subject: "theirs"}, true)
	if err := o.save(); err != nil {
		t.Fatal(err)
	}
	if o, err = openObserved(dir, none); err != nil { // a start
		t.Fatal(err)
	}
	o.take(mailgate.Observed{Time: noon.Add(24 * time.Hour), Tenant: "acme", Direction: "in", Would: "pass", Score: 0.4, Subject: "near"}, true)
	if err := o.save(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadObserved(data, "acme", time.Time{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sums) != 1 || got.Sums[0].Messages != 12 || got.Sums[0].Would["hold"] != 1 || got.Sums[0].Would["pass"] != 11 ||
		got.Sums[0].AtOrAbove["0.90"] != 1 || got.Sums[0].AtOrAbove["0.30"] != 2 || got.Sums[0].To != "2026-06-02" {
		t.Errorf("sums %+v", got.Sums)
	}
	var subjects []string
	for _, m := range got.Messages {
		subjects = append(subjects, m.Subject)
	}
	if s := strings.Join(subjects, ","); s != "near,first" {
		t.Errorf("messages %s; another tenant's are none of its", s)
	}
	if got, err = ReadObserved(data, "", noon.Add(12*time.Hour), 100); err != nil || len(got.Messages) != 1 || len(got.Sums) != 1 || got.Sums[0].Messages != 1 {
		t.Errorf("since midnight: %+v, %v", got, err)
	}
	if _, err := ReadObserved(t.TempDir(), "", time.Time{}, 1); err == nil || !strings.Contains(err.Error(), "mode observe") {
		t.Errorf("a folder without: %v", err)
	}
}

func TestDamagedNumbersOfObservedMailAreSetAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, observedSums), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	told := ""
	if _, err := openObserved(dir, func(s string) { told = s }); err != nil || !strings.Contains(told, "damaged") {
		t.Errorf("told %q, %v", told, err)
	}
	if _, err := os.Stat(filepath.Join(dir, observedSums+".damaged")); err != nil {
		t.Error(err)
	}
}
