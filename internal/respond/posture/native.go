package posture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// maxRecord bounds one line of native evidence in bytes.
const maxRecord = 256 << 10

// Fact is a fact as JSON spells it, one a line (docs/schema/evidence.schema.json). It is how a person or a script
// writes down what no export tells.
type Fact struct {
	Kind       string           `json:"kind"`
	Tenant     tenant.ID        `json:"tenant,omitempty"` // empty: whose folder it lies in
	Partner    tenant.PartnerID `json:"partner,omitempty"`
	Trust      tenant.TrustID   `json:"trust,omitempty"`
	Subject    string           `json:"subject"`
	At         time.Time        `json:"at"`
	By         string           `json:"by,omitempty"`         // who says so
	Attachment string           `json:"attachment,omitempty"` // the name of a file that shows it
	SHA256     string           `json:"sha256,omitempty"`     // of that file, hexadecimal
	Values     map[string]any   `json:"values,omitempty"`
}

// nativeFile reads facts, one JSON object a line.
func nativeFile() evidence.Format {
	return evidence.Format{
		Name:  "breakwater-facts",
		About: "facts as JSON, one a line, such as `breakwater posture evidence add` writes",
		Recognise: func(_ string, head []byte) bool {
			line, _, _ := bytes.Cut(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("\n"))
			if len(line) == 0 || line[0] != '{' || !bytes.Contains(line, []byte(`"kind"`)) || !bytes.Contains(line, []byte(`"subject"`)) {
				return false
			}
			var f Fact
			if err := json.Unmarshal(line, &f); err != nil {
				// A first line that is broken makes no other format of it.
				var syntax *json.SyntaxError
				return errors.As(err, &syntax)
			}
			return kindForm.MatchString(f.Kind)
		},
		Read: readNative,
	}
}

func readNative(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
	lines := bounded.NewLineReader(in.Reader, maxRecord)
	for {
		line, n, tooLong, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading facts: %w", err)
		case ctx.Err() != nil:
			return fmt.Errorf("reading facts: %w", ctx.Err())
		case tooLong:
			sink.Bad(n, fmt.Sprintf("a record of more than %d bytes", maxRecord))
			continue
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		item, err := ParseFact(line)
		if err != nil {
			sink.Bad(n, err.Error())
			continue
		}
		item.From = evidence.Origin{File: in.Name, Line: n}
		if err := sink.Item(item); err != nil {
			return err
		}
	}
}

// MarshalFact writes a fact as one line of JSON without its end, such that ParseFact gives the same values and types
// again: what a drill or a server found can be kept among the evidence. Where it was read is not kept.
func MarshalFact(i *evidence.Item) ([]byte, error) {
	f := Fact{Kind: i.Kind, Tenant: i.Tenant, Partner: i.Partner, Trust: i.Trust, Subject: i.Subject, At: i.At.UTC(), Values: typed(i.Values)}
	line, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("writing the fact %s of %s: %w", i.Kind, i.Subject, err)
	}
	if _, err := ParseFact(line); err != nil {
		return nil, fmt.Errorf("writing the fact %s of %s: it could not be read again: %w", i.Kind, i.Subject, err)
	}
	return line, nil
}

// typed copies values such that a whole float64 is written with a point and stays one.
func typed(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = typedValue(v)
	}
	return out
}

func typedValue(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return json.RawMessage(strconv.FormatFloat(v, 'f', 1, 64))
		}
	case time.Time:
		return v.UTC()
	case map[string]any:
		return typed(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = typedValue(x)
		}
		return out
	}
	return v
}

// ParseFact reads one fact. What a control may not rest on is an error: a fact without a kind, subject or time.
func ParseFact(data []byte) (evidence.Item, error) {
	if len(data) > maxRecord {
		return evidence.Item{}, fmt.Errorf("a record of more than %d bytes", maxRecord)
	}
	var f Fact
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&f); err != nil {
		return evidence.Item{}, fmt.Errorf("no fact in JSON: %s", cut(oneLine(err.Error()), 200))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return evidence.Item{}, fmt.Errorf("something stands behind the fact; write one a line")
	}
	values, err := f.check()
	if err != nil {
		return evidence.Item{}, err
	}
	return evidence.Item{Tenant: f.Tenant, Partner: f.Partner, Trust: f.Trust, Kind: f.Kind, Subject: f.Subject, At: f.At.UTC(), Values: values}, nil
}

// check says what is wrong with a fact, and returns its values with what stands beside them: by, attachment, sha256.
func (f *Fact) check() (map[string]any, error) {
	switch {
	case !kindForm.MatchString(f.Kind) || len(f.Kind) > 100:
		return nil, fmt.Errorf("kind %q is none, such as incident.exercise", cut(oneLine(f.Kind), 100))
	case f.Subject == "" || len(f.Subject) > 1000:
		return nil, fmt.Errorf("subject: say what it is about, in at most 1000 bytes")
	case f.At.IsZero():
		return nil, fmt.Errorf("at: say when it was true, such as 2026-03-02T15:04:05Z")
	case f.SHA256 != "" && !isSHA256(f.SHA256):
		return nil, fmt.Errorf("sha256 is not 64 hexadecimal digits")
	}
	values, err := plainValues(f.Values)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	for name, v := range map[string]string{"by": f.By, "attachment": f.Attachment, "sha256": f.SHA256} {
		if v == "" {
			continue
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("values: %s stands beside them already", name)
		}
		values[name] = v
	}
	return values, nil
}

func isSHA256(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}
