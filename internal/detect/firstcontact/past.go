package firstcontact

import (
	"maps"
	"math"
	"time"
)

// How a past is kept, and how rarity comes of it.
const (
	// HalfLife is how long until what a past learned of its own rate of novelty weighs half.
	HalfLife = 30 * 24 * time.Hour
	// strength is how many visits the more general past behind a past weighs: the subject's own few visits
	// are smoothed with its partner's many (the discount and back-off of Kneser and Ney, "Improved backing-off for
	// m-gram language modeling", ICASSP 1995, section 2, with a fixed discount).
	strength = 2
	// ignorance is how likely something new is where nothing at all is known.
	ignorance = 0.5
	// maxLearned is how many new values within one hour teach a past its rate of novelty. A burst is one event and not
	// many, and an intruder's tour shall not teach that tours are ordinary.
	maxLearned = 8
	// onTrial is how long a value that was seen in one hour only is safe from those that need its room.
	onTrial = 24 * time.Hour
)

// minute counts minutes since 1970; times outside of what it holds come to its ends.
type minute uint32

func minuteOf(t time.Time) minute { return minute(min(max(t.Unix()/60, 0), math.MaxUint32)) }

func minutes(d time.Duration) minute { return minute(d / time.Minute) }

// since returns the minutes from an earlier time to m, zero where it is later.
func (m minute) since(earlier minute) minute {
	if m < earlier {
		return 0
	}
	return m - earlier
}

// seen is what is kept of one value: 12 bytes beside its hash.
type seen struct {
	First, Last minute
	Visits      uint32 // hours in which it was seen
}

// past is what one subject (a trust, a partner over all its tenants, an account, an app) met in one dimension: its
// values by hash, and how often it meets a new one. A visit is an hour in which a value was seen, so that a talkative
// value counts no more than a silent one.
type past struct {
	Visits, News float64 // visits, and those that met something new; both fade with HalfLife
	At           minute  // as of when they have faded
	Begun        minute
	Learned      uint32 // new values that taught in the hour of At
	Tidied       minute // when room was last sought in vain
	Seen         map[uint64]seen
}

// verdict says what a value is to a past.
type verdict uint8

const (
	same  verdict = iota // seen within this hour already: nothing is counted
	known                // seen lately
	fresh                // never seen, or not within ForgetAfter
	full                 // not seen, but it can't be kept and would be new each time
)

// is tells what a value is to the past, and counts nothing.
func (p *past) is(v uint64, now minute) verdict {
	if p == nil {
		return fresh
	}
	s, ok := p.Seen[v]
	switch {
	case !ok || now.since(s.Last) >= minutes(ForgetAfter):
		return fresh
	case now/60 <= s.Last/60:
		return same
	}
	return known
}

// see counts a value, of which at most that many are kept.
func (p *past) see(v uint64, now minute, most int) verdict {
	what := p.is(v, now)
	if what == same {
		return same
	}
	s, kept := p.Seen[v]
	if what == fresh && !kept && len(p.Seen) >= most && !p.tidy(now, most) {
		return full
	}
	p.fade(now)
	if p.Seen == nil {
		p.Seen, p.Begun = map[uint64]seen{}, now
	}
	if what == fresh {
		if s = (seen{First: now}); len(p.Seen) > 0 && p.Learned < maxLearned {
			p.News++
			p.Visits++
		} else if len(p.Seen) == 0 {
			p.Visits++ // the first of all is new by nature
		}
		p.Learned++
	} else {
		p.Visits++
	}
	s.Last, s.Visits = max(now, s.Last), s.Visits+1
	p.Seen[v] = s
	return what
}

// fade lets the counts grow old, and begins a new hour of learning.
func (p *past) fade(now minute) {
	if now/60 > p.At/60 {
		f := math.Exp2(-float64(now.since(p.At)) / float64(minutes(HalfLife)))
		p.Visits, p.News, p.At, p.Learned = p.Visits*f, p.News*f, now, 0
	}
}

// tidy makes room: what is forgotten goes, then what was seen in one hour only and is no longer on trial. What came
// again stays, so that a flood of strangers never drives out what was learned. It tries once an hour.
func (p *past) tidy(now minute, most int) bool {
	if p.Tidied != 0 && now.since(p.Tidied) < 60 {
		return false
	}
	p.Tidied = now
	p.forget(now)
	if len(p.Seen) >= most {
		maps.DeleteFunc(p.Seen, func(_ uint64, s seen) bool {
			return s.Visits == 1 && now.since(s.Last) >= minutes(onTrial)
		})
	}
	return len(p.Seen) < most
}

// forget throws away what is new again by now.
func (p *past) forget(now minute) {
	maps.DeleteFunc(p.Seen, func(_ uint64, s seen) bool { return now.since(s.Last) >= minutes(ForgetAfter) })
}

// novelty is how likely the next visit is to meet something new, by what the subject met so far, smoothed with how
// likely it is to the more general subject behind it.
func (p *past) novelty(behind float64) float64 {
	if p == nil {
		return behind
	}
	return (p.News + strength*behind) / (p.Visits + strength)
}

// given is how likely something new in this dimension is where something new was met in a narrower one: a new
// country where the network is new. So a new address, which brings its network, its operator and its country, counts each
// of them only by what it adds.
func (p *past) given(narrower *past) float64 {
	var wide, narrow float64
	if p != nil {
		wide = p.News
	}
	if narrower != nil {
		narrow = narrower.News
	}
	return min((wide+strength*ignorance)/(narrow+strength), 1)
}

// bits turns a probability into surprise.
func bits(p float64) float64 { return -math.Log2(max(min(p, 1), 1e-12)) }
