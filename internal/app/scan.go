package app

import (
	"context"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
)

// Scan reads the paths and draws the answer. Bad records and files are in the result, not in the error; an error
// means that there is no answer.
func Scan(ctx context.Context, s *Setup, paths []string) (*campaign.Result, error) {
	p, err := newPipeline(s)
	if err != nil {
		return nil, err
	}
	defer p.sorter.Close()
	if err := p.read(ctx, paths); err != nil {
		return nil, err
	}
	return p.conclude(ctx)
}
