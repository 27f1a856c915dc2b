package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/detect/phish/learned"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxMessages is how many messages one command takes.
const maxMessages = 2_000_000

// message is one message of a file; event is nil where it has no mail header at all.
type message struct {
	file   string
	event  *ocsf.Event
	broken string // why it could not be read, or ""
}

// mailReader reads messages from files, folders, mboxes, maildirs and archives.
type mailReader struct {
	model   *tenant.Model
	tenant  tenant.ID
	note    func(format string, args ...any)
	visit   func(message) error
	count   int
	skipped int
}

// openModel reads the declared model, and checks the tenant; without a configuration nobody is declared.
func openModel(configPath, id string) (*tenant.Model, tenant.ID, error) {
	m := &tenant.Model{}
	if configPath != "" {
		f, err := config.Load(configPath)
		if err != nil {
			return nil, "", err
		}
		m = f.Model
	}
	if id == "" && len(m.Tenants) == 1 {
		return m, m.Tenants[0].ID, nil
	}
	if id != "" && configPath != "" {
		for i := range m.Tenants {
			if string(m.Tenants[i].ID) == id {
				return m, tenant.ID(id), nil
			}
		}
		return nil, "", usage("--tenant: %s declares no tenant %q", configPath, id)
	}
	return m, tenant.ID(id), nil
}

func newPhish(m *tenant.Model) *phish.Detector { return phish.New(detect.Context{Model: m}) }

// notMail are endings of files that lie beside mail; whatever else is in a folder is a message, however broken.
var notMail = map[string]bool{".md": true, ".json": true, ".jsonl": true, ".tsv": true, ".csv": true, ".yaml": true, ".yml": true, ".html": true, ".py": true, ".xml": true,
	".log": true, ".cache": true, ".index": true, ".lock": true, ".db": true, ".toml": true, ".sh": true}

// read visits every message below the paths. A path that isn't there is an error.
func (r *mailReader) read(ctx context.Context, paths []string) error {
	named := map[string]bool{}
	for _, p := range paths {
		named[p] = true
	}
	_, err := bounded.Walk(ctx, paths, bounded.Limits{Problem: func(p, why string) { r.note("%s: %s", p, why) }}, func(f bounded.File) error {
		head := make([]byte, 64<<10)
		n, err := io.ReadFull(f.Reader, head)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		head = head[:n]
		if !mail.Stream().Recognise(f.Name, head) && !named[f.Path] && (notMail[strings.ToLower(path.Ext(f.Name))] || strings.HasPrefix(f.Name, ".") || strings.HasPrefix(f.Name, "dovecot")) {
			r.skipped++
			return nil
		}
		return r.file(ctx, f.Path, io.MultiReader(bytes.NewReader(head), f.Reader))
	})
	return err
}

// file reads the messages of one file: one, or those of an mbox.
func (r *mailReader) file(ctx context.Context, name string, in io.Reader) error {
	sink := &mailSink{r: r, file: name, ctx: ctx}
	if err := mail.Stream().Read(ctx, name, in, sink); err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.note("%s: %v", name, err)
	}
	if sink.err == nil && sink.n == 0 {
		sink.Bad(0, "no message in it", nil)
	}
	return sink.err
}

type mailSink struct {
	r    *mailReader
	file string
	ctx  context.Context
	n    int
	err  error
}

// Event implements decode.Sink.
func (s *mailSink) Event(e *ocsf.Event, _ int64, _ []byte) { s.give(e, "") }

// Bad implements decode.Sink. A message without a usable time is read once more with one, and stays suspicious.
func (s *mailSink) Bad(_ int64, reason string, raw []byte) {
	e, _ := mail.Message(append([]byte("Date: "+time.Unix(365*24*3600*2, 0).UTC().Format(time.RFC1123Z)+"\n"), raw[:min(len(raw), decode.MaxMail)]...))
	if len(raw) == 0 {
		e = nil
	}
	s.give(e, reason)
}

func (s *mailSink) give(e *ocsf.Event, broken string) {
	if s.err != nil {
		return
	}
	s.n++
	if s.r.count++; s.r.count > maxMessages {
		s.err = fmt.Errorf("reading %s: more than %d messages; give them in several runs", s.file, maxMessages)
		return
	}
	if e != nil {
		e.Tenant = s.r.owner(e)
	}
	s.err = s.r.visit(message{s.file, e, broken})
}

// owner returns the tenant that a message belongs to: the one named, else the one whose domain received it, else
// the one whose domain sent it.
func (r *mailReader) owner(e *ocsf.Event) tenant.ID {
	if r.tenant != "" {
		return r.tenant
	}
	for _, addr := range append(append([]string{e.User.Name}, e.Mail.To...), e.Mail.From) {
		_, dom, _ := strings.Cut(addr, "@")
		for i := range r.model.Tenants {
			for _, d := range r.model.Tenants[i].Domains {
				if d = strings.ToLower(d); dom == d || strings.HasSuffix(dom, "."+d) {
					return r.model.Tenants[i].ID
				}
			}
		}
	}
	return ""
}

// readExamples turns the mail below a path into examples of one class.
func readExamples(ctx context.Context, c *console, d *phish.Detector, m *tenant.Model, id tenant.ID, from string, isPhish bool, out []learned.Example) ([]learned.Example, error) {
	r := &mailReader{model: m, tenant: id, note: func(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }, visit: func(m message) error {
		if m.event == nil {
			return nil
		}
		prior, v := d.Prior(m.event)
		out = append(out, learned.Example{Vector: v, Prior: prior, Phish: isPhish, Time: m.event.Time})
		return nil
	}}
	err := r.read(ctx, []string{from})
	return out, err
}
