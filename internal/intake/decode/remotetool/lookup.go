package remotetool

import (
	"slices"
	"strings"
)

// index answers look-ups in the product table without walking it: one map for whole names, one short list for
// beginnings, one for parts of paths.
type index struct {
	whole  map[string]*product
	prefix []entry
	part   []entry
}

type entry struct {
	text string
	p    *product
}

var (
	processIndex = newIndex(func(p *product) ([]string, []string) { return p.processes, p.paths })
	serviceIndex = newIndex(func(p *product) ([]string, []string) { return p.services, nil })
	domainIndex  = newIndex(func(p *product) ([]string, []string) { return p.domains, nil })
	nameIndex    = newIndex(func(p *product) ([]string, []string) { return append([]string{p.tool}, p.aliases...), nil })
)

func newIndex(names func(*product) (names, parts []string)) *index {
	x := &index{whole: map[string]*product{}}
	for i := range products {
		p := &products[i]
		list, parts := names(p)
		for _, n := range list {
			if rest, ok := strings.CutSuffix(n, "*"); ok {
				x.prefix = append(x.prefix, entry{rest, p})
			} else {
				x.whole[n] = p
			}
		}
		for _, s := range parts {
			x.part = append(x.part, entry{s, p})
		}
	}
	slices.SortStableFunc(x.prefix, func(a, b entry) int { return len(b.text) - len(a.text) })
	return x
}

// name finds the product of a whole name; the longest listed beginning wins.
func (x *index) name(n string) *product {
	if p := x.whole[n]; p != nil {
		return p
	}
	for _, e := range x.prefix {
		if strings.HasPrefix(n, e.text) {
			return e.p
		}
	}
	return nil
}

// Tools lists the tool names of every known product, sorted.
func Tools() []string {
	out := make([]string, 0, len(products))
	for i := range products {
		out = append(out, products[i].tool)
	}
	slices.Sort(out)
	return out
}

// Normalise returns the tool name that this package uses for a product as people and consoles write it
// ("ConnectWise Control", "NinjaRMM", "Bomgar"); a product it doesn't know keeps its letters and digits in
// lower case.
func Normalise(name string) string {
	n := letters(name)
	if p := nameIndex.whole[n]; p != nil {
		return p.tool
	}
	return n
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r < 0x80:
			return -1
		}
		return r
	}, s)
}

// ByProcess names the product that a program belongs to, from the path of its file, and the product's instance
// where the path tells it (ScreenConnect).
func ByProcess(image string) (tool, instance string, ok bool) {
	if image == "" || len(image) > maxName {
		return "", "", false
	}
	path := strings.ToLower(strings.ReplaceAll(image, "/", `\`))
	base := path[strings.LastIndexByte(path, '\\')+1:]
	p := processIndex.name(base)
	for i := 0; p == nil && i < len(processIndex.part); i++ {
		if strings.Contains(path, processIndex.part[i].text) {
			p = processIndex.part[i].p
		}
	}
	if p == nil {
		return "", "", false
	}
	return p.tool, instanceOf(p, path), true
}

// ByService names the product that a Windows service belongs to, from the service's name, else from the program
// it starts, and the product's instance where one of them tells it.
func ByService(name, imagePath string) (tool, instance string, ok bool) {
	if len(name) > maxName || len(imagePath) > maxLine {
		return "", "", false
	}
	if p := serviceIndex.name(strings.ToLower(strings.TrimSpace(name))); p != nil {
		if instance = instanceOf(p, name); instance == "" {
			instance = instanceOf(p, imagePath)
		}
		return p.tool, instance, true
	}
	return ByProcess(Program(imagePath))
}

func instanceOf(p *product, s string) string {
	if p.tool != screenConnect {
		return ""
	}
	return ScreenConnectInstance(s)
}

// ByDomain names the product whose maker runs that host, and for hosted products the label that stands for the
// customer: instance-ab12cd-relay.screenconnect.com gives "ab12cd", acme.beyondtrustcloud.com "acme". That label
// is another name space than the id that ScreenConnect clients carry.
func ByDomain(host string) (tool, instance string, ok bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if len(host) > 253 {
		return "", "", false
	}
	for d := host; ; {
		if p := domainIndex.whole[d]; p != nil {
			if sub := strings.TrimSuffix(strings.TrimSuffix(host, d), "."); p.hosted && sub != "" {
				instance = hostedLabel(sub[strings.LastIndexByte(sub, '.')+1:])
			}
			return p.tool, instance, true
		}
		_, rest, more := strings.Cut(d, ".")
		if !more {
			return "", "", false
		}
		d = rest
	}
}

// hostedLabel drops what every customer's label has, and labels that are the maker's own.
func hostedLabel(label string) string {
	label = strings.TrimSuffix(strings.TrimPrefix(label, "instance-"), "-relay")
	switch label {
	case "www", "api", "app", "cloud", "download", "downloads", "support", "login", "admin", "docs", "help", "status", "relay":
		return ""
	}
	return label
}

// Program returns the program's path at the beginning of a command line or service path.
func Program(line string) string {
	line = strings.TrimLeft(line, " \t")
	if rest, ok := strings.CutPrefix(line, `"`); ok {
		if i := strings.IndexByte(rest, '"'); i >= 0 {
			return rest[:i]
		}
		return rest
	}
	if i := strings.Index(strings.ToLower(line), ".exe"); i >= 0 && (i+4 == len(line) || line[i+4] == ' ' || line[i+4] == '"') {
		return line[:i+4]
	}
	if i := strings.IndexByte(line, ' '); i >= 0 {
		return line[:i]
	}
	return line
}
