package decodetest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Record is a record of a format with what must come out of it, as CloudLine writes it.
type Record = struct{ Name, Text, Want string }

// Read decodes text as a file of objects and fails where that ends in an error.
func Read(t testing.TB, formats []decode.Object, text string) *Collect {
	t.Helper()
	var c Collect
	if err := decode.Objects(formats).Read(context.Background(), "x.json", strings.NewReader(text), &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

// One decodes text that is one good record.
func One(t testing.TB, formats []decode.Object, text string) *ocsf.Event {
	t.Helper()
	c := Read(t, formats, text)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q from %s", len(c.Events), c.Reasons, text)
	}
	Check(t, c.Events[0])
	return c.Events[0]
}

// File decodes text with the first of the streams that recognises it, and fails where none does.
func File(t testing.TB, streams []decode.Stream, name, text string) *Collect {
	t.Helper()
	for _, s := range streams {
		if !s.Recognise(name, []byte(text[:min(len(text), decode.MaxHead)])) {
			continue
		}
		var c Collect
		if err := s.Read(context.Background(), name, strings.NewReader(text), &c); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		for _, e := range c.Events {
			Check(t, e)
		}
		return &c
	}
	t.Fatalf("no format knows %.200q", text)
	return nil
}

// CloudLine writes what a decoder made of a record of a cloud service.
func CloudLine(e *ocsf.Event) string {
	k := e.Cloud
	return fmt.Sprintf("%s %s %d %s %s id=%s user=%s src=%s home=%s resource=%s cross=%s app=%s %s %d mfa=%s sp=%v int=%v err=%s keys=%v",
		e.Source, e.Time.Format(time.RFC3339Nano), e.Class, e.Activity, e.Status, e.SourceID, e.User, e.Src, k.HomeTenant, k.ResourceTenant, k.CrossTenant,
		k.AppID, k.Country, k.ASN, k.MFA, k.ServicePrin, k.Interactive, k.ErrorCode, e.JoinKeys)
}

// Records checks that each record gives what it must, that no record is of two formats, and that lists of them are
// read whatever they are wrapped in.
func Records(t *testing.T, formats []decode.Object, records []Record) {
	t.Helper()
	for _, r := range records {
		t.Run(r.Name, func(t *testing.T) {
			e := One(t, formats, r.Text)
			if got := CloudLine(e); got != r.Want {
				t.Errorf("got  %s\nwant %s", got, r.Want)
			}
			n := 0
			for _, f := range formats {
				n += len(Read(t, []decode.Object{f}, r.Text).Events)
			}
			if n != 1 {
				t.Errorf("the record matches %d formats", n)
			}
			for _, text := range []string{`{"Records":[` + r.Text + "," + r.Text + `]}`, "[" + r.Text + ",\n" + r.Text + "]", r.Text + "\n" + r.Text + "\n", "\xef\xbb\xbf" + r.Text + r.Text} {
				if c := Read(t, formats, text); len(c.Events) != 2 || len(c.Reasons) != 0 {
					t.Errorf("%d events, bad %q from %.60s", len(c.Events), c.Reasons, text)
				}
			}
		})
	}
}

// BadRecord is a line that must be refused with a reason that holds Reason.
type BadRecord = struct{ Line, Reason string }

// BadRecords checks that each bad line is told and costs nothing beside it.
func BadRecords(t *testing.T, formats []decode.Object, good string, bad map[string]BadRecord) {
	t.Helper()
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			s := Read(t, formats, good+"\n"+c.Line+"\n"+good+"\n")
			if len(s.Events) != 2 || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], c.Reason) {
				t.Errorf("%d events, bad %.200q, want one bad with %q", len(s.Events), s.Reasons, c.Reason)
			}
		})
	}
}

// Fuzz feeds bytes to objects and streams: nothing may panic, and what comes out must be an event.
func Fuzz(f *testing.F, formats []decode.Object, streams []decode.Stream, seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	all := append([]decode.Stream{decode.Objects(formats)}, streams...)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range all {
			if len(streams) > 0 && s.Name != "json" && !s.Recognise("x", b[:min(len(b), decode.MaxHead)]) {
				continue
			}
			var c Collect
			if err := s.Read(context.Background(), "x", strings.NewReader(string(b)), &c); err != nil {
				continue // a file may end in an error; it must not panic
			}
			for _, e := range c.Events {
				Check(t, e)
				_ = e.Summary()
			}
		}
	})
}

// CloudSamples decodes the recorded samples whose path matches: those of the formats must all be good and tell who
// did what. Records of other formats in the same files are passed by.
func CloudSamples(t *testing.T, formats []decode.Object, match func(path string) bool) {
	t.Helper()
	cases := map[string]int{}
	for _, path := range Samples(t, match) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var c Collect
		err = decode.Objects(formats).Read(context.Background(), path, f, &c)
		_ = f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, reason := range c.Reasons {
			if !strings.Contains(reason, "no known source") {
				t.Errorf("%s: %s", path, reason)
			}
		}
		for _, e := range c.Events {
			Check(t, e)
			cases[e.Source]++
			if e.SourceID == "" || e.User.Name == "" || e.Cloud == nil || e.Cloud.Operation == "" {
				t.Errorf("%s: no id, user or operation: %+v %+v", path, e.User, e.Fields)
			}
		}
	}
	t.Logf("cases %v", cases)
	if len(cases) == 0 {
		t.Error("the samples hold no record of these formats")
	}
}
