package fanout

// tally counts failures by source and account, so that no event must look at the whole window.
type tally struct {
	sources     map[string]map[string]int // source → account → failures
	users       map[string]*tried
	sharing     int // sources that failed at more than one account
	sharedUsers int // accounts at which such a source failed
}

// tried is one account at which somebody failed.
type tried struct {
	sources int // that failed at it
	shared  int // of these, those that failed at others too
}

func newTally() tally { return tally{sources: map[string]map[string]int{}, users: map[string]*tried{}} }

func (t *tally) add(src, user string) {
	at := t.sources[src]
	if at == nil {
		at = map[string]int{}
		t.sources[src] = at
	}
	if at[user]++; at[user] > 1 {
		return
	}
	u := t.users[user]
	if u == nil {
		u = &tried{}
		t.users[user] = u
	}
	u.sources++
	switch len(at) {
	case 1:
	case 2:
		t.sharing++
		for name := range at {
			t.share(name, 1)
		}
	default:
		t.share(user, 1)
	}
}

func (t *tally) remove(src, user string) {
	at := t.sources[src]
	if at[user]--; at[user] > 0 {
		return
	}
	delete(at, user)
	switch len(at) {
	case 0:
		delete(t.sources, src)
	case 1:
		t.sharing--
		for name := range at {
			t.share(name, -1)
		}
		t.share(user, -1)
	default:
		t.share(user, -1)
	}
	if u := t.users[user]; u.sources == 1 {
		delete(t.users, user)
	} else {
		u.sources--
	}
}

func (t *tally) share(user string, by int) {
	u := t.users[user]
	before := u.shared > 0
	u.shared += by
	switch after := u.shared > 0; {
	case after && !before:
		t.sharedUsers++
	case before && !after:
		t.sharedUsers--
	}
}

// shares reports whether a source failed at more than one account.
func (t *tally) shares(src string) bool { return len(t.sources[src]) > 1 }

// alone reports whether the account failed nowhere but at this place, and nobody else did there: that is a person,
// and no guessing.
func (t *tally) alone(src, user string) bool {
	at := t.sources[src]
	return len(at) == 1 && at[user] > 0 && t.users[user].sources == 1
}
