package sweep

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// offerMark ends the name of an offer, so that old ones are found without reading them.
const offerMark = "-f"

// maxOffers is how many offers of a tenant are kept; the oldest go.
const maxOffers = 500

// Offer makes a dry run and keeps what it found, for a person to decide: it is listed among the runs, and Accept carries
// it out. Where nothing is found nothing is kept, and the result names no run.
func (s *Sweeper) Offer(ctx context.Context, r Request) (*Result, error) {
	r.Apply = false
	res, err := s.Run(ctx, r)
	if err != nil || len(res.Messages) == 0 {
		return res, err
	}
	lock, err := s.lock()
	if err != nil {
		return res, err
	}
	defer lock.Close()
	why := r.Why
	if why == "" {
		why = r.Criteria.words()
	}
	crit := r.Criteria
	j, err := create(s.dir, Run{ID: s.name() + offerMark, Tenant: s.opt.Tenant, Kind: KindOffer, By: r.By, Why: why, Began: s.opt.Now().UTC(), Criteria: &crit})
	if err != nil {
		return res, err
	}
	for i := range res.Messages {
		res.Messages[i].Seq = i + 1
	}
	for chunk := range slices.Chunk(res.Messages, 500) { // a line is bounded
		if err := j.end(chunk); err != nil {
			return res, errors.Join(err, j.finish(s.opt.Now()))
		}
	}
	if err := j.finish(s.opt.Now()); err != nil {
		return res, err
	}
	res.Run = j.run.ID
	return res, s.forgetOffers()
}

func (s *Sweeper) forgetOffers() error {
	ids, err := runIDs(s.dir)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasSuffix(id, offerMark) })
	for len(ids) > maxOffers {
		if err := forget(s.dir, ids[0]); err != nil {
			return err
		}
		ids = ids[1:]
	}
	return nil
}

// Accept carries an offer out: it sweeps by the criteria of the dry run, so that copies that came since are taken too.
func (s *Sweeper) Accept(ctx context.Context, id, by string, lim Limits) (*Result, error) {
	run, err := s.Show(id)
	if err != nil {
		return nil, err
	}
	if run.Kind != KindOffer || run.Criteria == nil {
		return nil, fmt.Errorf("run %s is no offer; `breakwater mail sweep list` shows which are", run.ID)
	}
	return s.Run(ctx, Request{Criteria: *run.Criteria, Apply: true, By: by, Why: "accepts " + run.ID + ": " + run.Why, Limits: lim})
}

// Ended lists the runs that have ended and that skip does not know, oldest first, with their messages. Offers are none.
func (s *Sweeper) Ended(skip func(id string) bool) ([]Run, error) {
	ids, err := runIDs(s.dir)
	if err != nil {
		return nil, err
	}
	var out []Run
	for _, id := range ids {
		if strings.HasSuffix(id, offerMark) || skip(id) {
			continue
		}
		r, _, err := readRun(filepath.Join(s.dir, id+".jsonl"))
		if errors.Is(err, errUnbegun) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !r.Ended.IsZero() && (r.Kind == KindSweep || r.Kind == KindUndo) {
			out = append(out, r)
		}
	}
	return out, nil
}
