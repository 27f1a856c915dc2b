package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
)

// Plan is what applying a configuration would change, in lines for people.
type Plan struct {
	File  *config.File
	Lines []string
}

// PlanApply compares a configuration with the one that holds.
func PlanApply(ctx context.Context, store *state.Store, name string, text []byte) (*Plan, error) {
	next, err := config.Parse(name, text)
	if err != nil {
		return nil, err
	}
	p := &Plan{File: next}
	before := map[string]string{}
	doc, err := store.LatestDocument(ctx)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, fmt.Errorf("reading the applied configuration: %w", err)
	}
	if len(doc.Text) > 0 {
		if old, err := config.Parse(doc.Name, doc.Text); err == nil {
			before = entries(old)
		}
	}
	after := entries(next)
	var keys []string
	for k := range before {
		keys = append(keys, k)
	}
	for k := range after {
		if _, ok := before[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		was, had := before[k]
		is, has := after[k]
		switch {
		case !had:
			p.Lines = append(p.Lines, "+ "+k)
		case !has:
			p.Lines = append(p.Lines, "- "+k)
		case was != is:
			p.Lines = append(p.Lines, "~ "+k)
		}
	}
	return p, nil
}

// entries names everything that a configuration declares, with its content.
func entries(f *config.File) map[string]string {
	out := map[string]string{}
	put := func(key string, v any) {
		b, _ := json.Marshal(v) // plain data always encodes
		for n := 2; ; n++ {
			if _, ok := out[key]; !ok {
				break
			}
			key = fmt.Sprintf("%s (%d)", key, n)
		}
		out[key] = string(b)
	}
	m := f.Model
	for _, t := range m.Tenants {
		put("tenant "+string(t.ID), t)
	}
	for _, x := range m.Partners {
		put("partner "+string(x.ID), x)
	}
	for _, t := range m.Trusts {
		put("trust "+string(t.ID), t)
	}
	for _, a := range m.Approvals {
		put(fmt.Sprintf("approval of %s for %s from %s", a.Kind, a.Trust, a.From.Format("2006-01-02")), a)
	}
	for i := range f.Sensors {
		put("sensor "+f.Sensors[i].Name, &f.Sensors[i])
	}
	if f.Serve != nil {
		put("serve", f.Serve)
	}
	return out
}
