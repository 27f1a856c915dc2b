package posture

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/backup"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/inventory"
	"github.com/breakwater-project/breakwater/internal/respond/posture/netconfig"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
	"github.com/breakwater-project/breakwater/internal/respond/posture/training"
)

// Knowledge is what readers hold files against. The zero value knows nothing.
type Knowledge struct {
	Model   *tenant.Model            // what is declared; nil: nothing
	KEV     *product.KEV             // the catalogue of exploited vulnerabilities; nil: what the table of products has of it
	Columns inventory.AccountColumns // of exports of users; nil: the names that are known
	KEVFile string                   // where that catalogue was read, for the fact that says which one was asked
}

// Formats returns every format of evidence that the program reads, in the order in which they are asked whether a file
// is theirs.
func Formats(k Knowledge) []evidence.Format {
	return slices.Concat(
		[]evidence.Format{nativeFile()},
		inventory.Formats(inventory.Knowledge{Model: k.Model, KEV: k.KEV, Columns: k.Columns}),
		netconfig.Formats(k.Model),
		training.Formats(),
		backup.Formats(),
	)
}

// Facts returns what the knowledge itself is evidence of for a tenant: which catalogue its tools were held against.
func (k Knowledge) Facts(id tenant.ID) []evidence.Item {
	if k.KEV == nil {
		return nil
	}
	return []evidence.Item{inventory.KEVItem(id, k.KEV, k.KEVFile)}
}

// drawn returns the facts that are drawn from others: sums over a tenant's persons. Where they rest on files, their
// SHA256 is that of the files' own, in order, one a line.
func drawn(id tenant.ID, items []evidence.Item, now time.Time) []evidence.Item {
	sums := training.Summarise(id, items, now)
	if len(sums) == 0 {
		return nil
	}
	var files []string
	cut, left := false, map[string]int64{}
	for i := range items {
		if h := items[i].From.SHA256; h != "" && strings.HasPrefix(items[i].Kind, string(evidence.PillarTraining)+".") {
			if len(files) == 0 || files[len(files)-1] != h { // a million facts of one file are one file
				files = append(files, h)
			}
			if cut = cut || items[i].From.Cut; items[i].From.LeftOut > 0 {
				left[h] = items[i].From.LeftOut
			}
		}
	}
	var lost int64
	for _, n := range left {
		lost += n
	}
	slices.Sort(files)
	if files = slices.Compact(files); len(files) == 0 {
		return sums
	}
	h := sha256.Sum256([]byte(strings.Join(files, "\n")))
	for i := range sums {
		sums[i].From = evidence.Origin{File: fmt.Sprintf("%s of training", plural(len(files), "file")), SHA256: hex.EncodeToString(h[:]), Cut: cut, LeftOut: lost}
	}
	return sums
}
