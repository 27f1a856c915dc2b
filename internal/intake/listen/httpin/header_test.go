package httpin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// collected keeps the frames that were submitted.
type collected struct{ frames []bus.Frame }

func (c *collected) Submit(_ context.Context, frames ...bus.Frame) error {
	c.frames = append(c.frames, frames...)
	return nil
}

func TestHeaderLinesGoWithWhatFollowsThem(t *testing.T) {
	one := "#separator \\x09\n#fields\tts\tuid\n"
	two := "#fields\tuid\tts\n"
	body := one + strings.Repeat("1\tC1\n", 40_000) + "#close\n" + "2\tC2\n" + two + "C3\t3\n"
	var c collected
	h := New(Options{Submit: &c, Authenticate: func(context.Context, string) (*listen.Binding, error) {
		return &listen.Binding{Sensor: "zeek", Tenant: "acme"}, nil
	}})
	r := httptest.NewRequest(http.MethodPost, "/ingest/ndjson", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"accepted":40002}` {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	records, line := 0, int64(3)
	for i, f := range c.frames {
		want := one
		if strings.HasPrefix(string(f.Data), "C3") {
			want = two
		}
		if string(f.Head) != want || strings.Contains(string(f.Data), "#") {
			t.Errorf("frame %d of %d has the head %q and begins with %q", i, len(c.frames), f.Head, f.Data[:min(len(f.Data), 20)])
		}
		records += f.Records
		if i == 0 && f.First != line {
			t.Errorf("the first record is that of line %d", f.First)
		}
	}
	if records != 40_002 {
		t.Errorf("%d records", records)
	}
	r = httptest.NewRequest(http.MethodPost, "/ingest/ndjson", strings.NewReader(strings.Repeat("#comment\n", 10_000)))
	r.Header.Set("Authorization", "Bearer x")
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("an endless header: %d", w.Code)
	}
}
