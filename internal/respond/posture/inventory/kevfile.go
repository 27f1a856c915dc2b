package inventory

import (
	"context"
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// KEVItem is the fact that a tenant's remote tools are held against this catalogue of KEV (remote-access.kev). It is
// as old as the catalogue, so that a control on it goes stale with it. Subject: "KEV catalogue".
//
//	version   string
//	released  timestamp
//	entries   int        vulnerabilities in it
//	products  int        of the table of products that it names
func KEVItem(id tenant.ID, k *product.KEV, file string) evidence.Item {
	named := map[string]bool{}
	for _, e := range k.Entries {
		for _, p := range product.Default().MatchKEV(e).Products {
			named[p] = true
		}
	}
	return evidence.Item{
		Tenant: id, Kind: KindKEV, Subject: "KEV catalogue", At: k.Released, From: evidence.Origin{File: file},
		Values: map[string]any{"version": k.Version, "released": k.Released, "entries": int64(len(k.Entries)), "products": int64(len(named))},
	}
}

// kevFormat reads a catalogue that lies among the evidence. It says which one was there; what inventories are held
// against is the one that the caller gives to Formats.
func (k Knowledge) kevFormat() evidence.Format {
	return evidence.Format{
		Name:  "kev-catalogue",
		About: "CISA's catalogue of known exploited vulnerabilities (JSON)",
		Recognise: func(_ string, head []byte) bool {
			text := headText(head)
			return strings.HasPrefix(strings.TrimSpace(text), "{") && strings.Contains(text, `"catalogVersion"`) && strings.Contains(text, `"vulnerabilities"`)
		},
		Read: func(_ context.Context, in evidence.Input, sink evidence.Sink) error {
			kev, err := product.ParseKEV(in.Reader)
			if err != nil {
				return fmt.Errorf("%s: %w", in.Name, err)
			}
			return sink.Item(KEVItem(in.Tenant, kev, in.Name))
		},
	}
}
