package indicator

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// stixObject is what is read of an object of a bundle (STIX 2.1, sections 3 and 4.7).
type stixObject struct {
	Type        string    `json:"type"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Pattern     string    `json:"pattern"`
	PatternType string    `json:"pattern_type"`
	Confidence  int       `json:"confidence"`
	ValidFrom   time.Time `json:"valid_from"`
	ValidUntil  time.Time `json:"valid_until"`
	Revoked     bool      `json:"revoked"`
	CreatedBy   string    `json:"created_by_ref"`
	Marking     []string  `json:"object_marking_refs"`
}

// tlpMarkings are the ids of the TLP marking definitions, of TLP 2.0 and of STIX 2.1 section 7.2.1.4.
var tlpMarkings = map[string]string{
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear",
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "amber",
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
}

// loadSTIX reads bundles, TAXII envelopes, arrays and single objects, one after the other.
func (l *loader) loadSTIX(r io.Reader) {
	dec := json.NewDecoder(r)
	for {
		err := l.stixValue(dec)
		if err == io.EOF {
			return
		}
		if err != nil {
			l.bad(clip(err.Error(), 200))
			return
		}
	}
}

// stixValue reads one value of the top level. Objects of a bundle are read one by one, whatever its size.
func (l *loader) stixValue(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('['):
		return l.stixObjects(dec)
	case json.Delim('{'):
	default:
		return fmt.Errorf("%v where a STIX object was expected", tok)
	}
	single := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return noEOF(err)
		}
		if key == "objects" {
			if tok, err = dec.Token(); err != nil {
				return noEOF(err)
			}
			if tok != json.Delim('[') {
				return fmt.Errorf("objects is no array")
			}
			if err := l.stixObjects(dec); err != nil {
				return err
			}
			continue
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return noEOF(err)
		}
		if name, _ := key.(string); len(single) < 64 {
			single[name] = v
		}
	}
	if _, err := dec.Token(); err != nil {
		return noEOF(err)
	}
	if string(single["type"]) == `"indicator"` {
		whole, _ := json.Marshal(single)
		l.record++
		l.stixObject(whole)
	}
	return nil
}

func (l *loader) stixObjects(dec *json.Decoder) error {
	for dec.More() {
		l.record++
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return noEOF(err)
		}
		l.stixObject(raw)
	}
	_, err := dec.Token()
	return noEOF(err)
}

// noEOF says that an end in the middle of an object is no end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (l *loader) stixObject(raw []byte) {
	var o stixObject
	if err := json.Unmarshal(raw, &o); err != nil {
		var head struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(raw, &head) != nil || head.Type == "indicator" {
			l.bad(clip(err.Error(), 200))
		}
		return
	}
	switch {
	case o.Type != "indicator":
		return
	case o.Revoked:
		l.bad(o.ID + ": revoked")
		return
	case o.PatternType != "" && o.PatternType != "stix":
		l.bad(fmt.Sprintf("%s: patterns of type %q are not supported", o.ID, clip(o.PatternType, 40)))
		return
	}
	alternatives, err := parsePattern(o.Pattern)
	if err != nil {
		l.bad(o.ID + ": " + err.Error())
		return
	}
	in := Indicator{ID: o.ID, Source: l.name, Confidence: o.Confidence, Description: either(o.Name, o.Description), ValidFrom: o.ValidFrom, ValidUntil: o.ValidUntil}
	for _, m := range o.Marking {
		if t, ok := tlpMarkings[strings.ToLower(m)]; ok {
			in.TLP = t
		}
	}
	for _, terms := range alternatives {
		l.addTerms(in, terms)
	}
}

// addTerms adds one alternative. Several hashes are those of one file: any of them is enough. Of other values
// that must come together the most telling is looked up, and the rest is asked for then.
func (l *loader) addTerms(in Indicator, terms []Term) {
	lead, hashes := 0, true
	for i, t := range terms {
		hashes = hashes && t.Type == ocsf.EntityHash
		if telling(t.Type) > telling(terms[lead].Type) {
			lead = i
		}
	}
	if hashes {
		for _, t := range terms {
			in.Type, in.Value = t.Type, t.Value
			l.add(in)
		}
		return
	}
	in.Type, in.Value = terms[lead].Type, terms[lead].Value
	for i, t := range terms {
		if i != lead {
			in.With = append(in.With, t)
		}
	}
	l.add(in)
}

func telling(t ocsf.EntityType) int {
	switch t {
	case ocsf.EntityHash:
		return 4
	case ocsf.EntityURL:
		return 3
	case ocsf.EntityMailbox, ocsf.EntityDomain:
		return 2
	}
	return 1
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
