package mailcorpus

import (
	"cmp"
	"slices"
	"time"
)

// Division is a training part and a test part that share no campaign.
type Division struct {
	Train, Test []Message
	Dropped     int // messages of a campaign that began in training and went on after it: in neither part
}

// phishCut divides the phishing: what came before is for training.
var phishCut = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// hamShare is the share of each legitimate family, its oldest, that is for training. With it more than 3,000 messages
// are left to measure a false positive rate of 0.1 % on.
const hamShare = 0.45

// ByTime divides each family by time: phishing at the turn of 2025, legitimate mail where 45 % of the family lie
// before. Messages without a time are for training. A campaign belongs where it began.
func ByTime(all []Message) Division {
	return divide(all, func(family Family, list []*Message) time.Time {
		if family == Phish {
			return phishCut
		}
		return quantile(list, hamShare)
	})
}

// quantile is the time before which a share of the messages lies.
func quantile(list []*Message, share float64) time.Time {
	times := make([]time.Time, 0, len(list))
	for _, m := range list {
		times = append(times, m.Time)
	}
	slices.SortFunc(times, time.Time.Compare)
	if i := int(share * float64(len(times))); i < len(times) {
		return times[i]
	}
	return lastTime
}

func divide(all []Message, cut func(Family, []*Message) time.Time) Division {
	families := map[Family][]*Message{}
	for i := range all {
		families[all[i].Family] = append(families[all[i].Family], &all[i])
	}
	cuts := map[Family]time.Time{}
	began := map[string]bool{} // campaigns of the training part
	for f, list := range families {
		cuts[f] = cut(f, list)
		for _, m := range list {
			if m.Time.Before(cuts[f]) {
				began[m.Campaign] = true
			}
		}
	}
	var d Division
	for i := range all {
		m := all[i]
		switch {
		case m.Time.Before(cuts[m.Family]):
			d.Train = append(d.Train, m)
		case began[m.Campaign]:
			d.Dropped++
		default:
			d.Test = append(d.Test, m)
		}
	}
	return d
}

// Without returns the training part without a family, and all messages of that family, of both parts: a model that
// learned from the first has never seen mail of that kind.
func (d Division) Without(f Family) (train, left []Message) {
	for _, part := range [][]Message{d.Train, d.Test} {
		for i := range part {
			if part[i].Family == f {
				left = append(left, part[i])
			}
		}
	}
	for i := range d.Train {
		if d.Train[i].Family != f {
			train = append(train, d.Train[i])
		}
	}
	return train, left
}

// Folds cuts a training part into n blocks by time within each family, and returns for each block but the first the
// blocks before it and the block, without campaigns of the former in the latter. A threshold that is read off these
// blocks has never seen what came after its model, and nothing of the test part.
func Folds(train []Message, n int) []Division {
	var out []Division
	for k := 1; k < n; k++ {
		before := divide(train, func(_ Family, list []*Message) time.Time { return quantile(list, float64(k)/float64(n)) })
		if k+1 < n {
			upTo := map[string]bool{}
			next := divide(train, func(_ Family, list []*Message) time.Time { return quantile(list, float64(k+1)/float64(n)) })
			for i := range next.Train {
				upTo[next.Train[i].ID] = true
			}
			before.Test = slices.DeleteFunc(before.Test, func(m Message) bool { return !upTo[m.ID] })
		}
		out = append(out, before)
	}
	return out
}

// Sample draws n messages in a fixed order that depends on nothing but their IDs: of legitimate mail from each family
// in proportion, at least one in each.
func Sample(set []Message, n int) []Message {
	families := map[Family][]Message{}
	for i := range set {
		families[set[i].Family] = append(families[set[i].Family], set[i])
	}
	var out []Message
	for _, list := range families {
		share := max(1, (n*len(list)+len(set)/2)/max(1, len(set)))
		slices.SortFunc(list, func(a, b Message) int { return cmp.Compare(mix(a.ID), mix(b.ID)) })
		out = append(out, list[:min(share, len(list))]...)
	}
	slices.SortFunc(out, func(a, b Message) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// mix is FNV-1a over the ID: an order that has nothing to do with how IDs are drawn elsewhere.
func mix(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}
