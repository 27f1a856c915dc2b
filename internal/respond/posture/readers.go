package posture

import (
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Formats returns every format of evidence that the program reads, in the order in which they are asked whether a file
// is theirs. The model says what is declared, for readers that hold files against it; it may be nil.
func Formats(_ *tenant.Model) []evidence.Format {
	return slices.Concat(
		[]evidence.Format{nativeFile()},
	)
}
