package config

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Sensor says whose telemetry comes from a place. All of its conditions must hold.
type Sensor struct {
	Name     string            `json:"-"` // as declared, else the match as written; it decides nothing about attribution
	Path     string            // glob, see CompileGlob; empty for any path
	Exporter string            // address, prefix or name of the sending device, lower case; empty for any
	Fields   map[string]string // field of the source → its value, case-insensitive; "" for any value

	Tenant   tenant.ID            // empty where By is set
	By       string               // field whose value names the tenant by way of Map
	Map      map[string]tenant.ID // lower-case value of By → tenant
	Layer    tenant.Layer         // empty: the decoder's own
	Line     int                  `json:"-"` // where the sensor stands in the file
	glob     Glob
	exporter netip.Prefix
}

// Origin is where a record came from, as far as is known.
type Origin struct {
	Path     string                    // as from File.Rel; empty for a network listener
	Exporter string                    // address or name of the sender; empty for a file
	Field    func(field string) string // the record's own fields; nil while no record is decoded
}

// TenantFor returns the tenant of a record whose fields get returns. It returns false where the map doesn't
// name the value: such a record is a dead letter and never some default tenant's.
func (s *Sensor) TenantFor(get func(field string) string) (tenant.ID, bool) {
	if s.By == "" {
		return s.Tenant, s.Tenant != ""
	}
	if get == nil {
		return "", false
	}
	id, ok := s.Map[strings.ToLower(strings.TrimSpace(get(s.By)))]
	return id, ok
}

// SensorFor returns the first declared sensor that matches by path alone. relPath is from Rel.
//
// The members of an archive match by their place as if the archive were a folder ("a.zip!inner/x.log" as
// a.zip/inner/x.log), else as the archive itself, else by their path in the archive: where an archive lies
// outweighs what it says of itself. A suffix of compression (.gz, .zst) may be left out of a pattern.
func (f *File) SensorFor(relPath string) (*Sensor, bool) {
	return f.find(relPath, func(s *Sensor) bool { return s.Exporter == "" && len(s.Fields) == 0 })
}

// SensorOf returns the first declared sensor all of whose conditions hold for the origin.
func (f *File) SensorOf(o Origin) (*Sensor, bool) {
	return f.find(o.Path, func(s *Sensor) bool { return s.holds(o) })
}

func (f *File) find(rel string, also func(*Sensor) bool) (*Sensor, bool) {
	for _, names := range spellings(rel) {
		for i := range f.Sensors {
			s := &f.Sensors[i]
			if s.matches(names) && also(s) {
				return s, true
			}
		}
	}
	return nil, false
}

// matches reports whether the path condition holds for one of the names; a sensor without one needs another.
func (s *Sensor) matches(names []string) bool {
	if s.Path == "" {
		return s.Exporter != "" || len(s.Fields) > 0
	}
	return slices.ContainsFunc(names, s.glob.Match)
}

// holds reports whether the conditions other than the path hold.
func (s *Sensor) holds(o Origin) bool {
	if s.Exporter != "" {
		addr, err := netip.ParseAddr(o.Exporter)
		byAddr := err == nil && s.exporter.IsValid() && s.exporter.Contains(addr.Unmap().WithZone(""))
		if !byAddr && !strings.EqualFold(s.Exporter, o.Exporter) {
			return false
		}
	}
	for field, want := range s.Fields {
		if o.Field == nil {
			return false
		}
		if got := o.Field(field); got == "" || want != "" && !strings.EqualFold(got, want) {
			return false
		}
	}
	return true
}

// spellings lists the names by which a path may match, in groups of which an earlier one outweighs a later.
func spellings(rel string) [][]string {
	outer, member := splitMember(rel)
	if member == "" {
		return [][]string{uncompressed(rel)}
	}
	groups := [][]string{append(uncompressed(rel), uncompressed(strings.ReplaceAll(rel, "!", "/"))...)}
	parts := append([]string{outer}, strings.Split(member, "!")...)
	for i := len(parts) - 1; i >= 1; i-- {
		groups = append(groups, []string{strings.Join(parts[:i], "/")})
	}
	for i := 1; i < len(parts); i++ {
		groups = append(groups, uncompressed(strings.Join(parts[i:], "/")))
	}
	return groups
}

// uncompressed returns the name, and beside it the name without a suffix of compression.
func uncompressed(name string) []string {
	switch ext := path.Ext(name); strings.ToLower(ext) {
	case ".gz", ".zst":
		return []string{name, strings.TrimSuffix(name, ext)}
	}
	return []string{name}
}

// tenants lists every tenant that the sensor may name.
func (s *Sensor) tenants() []tenant.ID {
	if s.By == "" {
		return []tenant.ID{s.Tenant}
	}
	return slices.Sorted(maps.Values(s.Map))
}

func (o *object) sensor() Sensor {
	s := Sensor{Line: o.line, Layer: o.layer()}
	if o.has("match") {
		if m, ok := o.r.object(o.fields["match"], o.field("match"), "path", "exporter", "field"); ok {
			m.match(&s)
		}
	} else {
		o.fail("match", "missing", `say what is matched: {path: "glob"}, {exporter: address} or {field: {name: value}}`)
	}
	s.Name = o.name(&s)
	switch {
	case o.has("tenant") && o.has("tenant_by"):
		o.fail("tenant_by", "tenant and tenant_by are both given", "keep one: a sensor has one tenant, or a map")
	case o.has("tenant"):
		s.Tenant = tenant.ID(o.text("tenant").text)
	case o.has("tenant_by"):
		if by, ok := o.r.object(o.fields["tenant_by"], o.field("tenant_by"), "field", "map"); ok {
			by.tenantBy(&s)
		}
	default:
		o.fail("tenant", "missing", "name the tenant, or give tenant_by: {field, map}")
	}
	return s
}

// maxName is the longest name of a sensor, in bytes: it stands in every row of coverage.
const maxName = 200

// name reads the sensor's name, or makes one of what it matches.
func (o *object) name(s *Sensor) string {
	it := o.text("name")
	if len(it.text) > maxName {
		it.fail("too long for a name", fmt.Sprintf("write at most %d bytes", maxName))
		return ""
	}
	if it.text != "" {
		return it.text
	}
	var parts []string
	for _, p := range []string{s.Path, s.Exporter} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(s.Fields)) {
		if want := s.Fields[field]; want != "" {
			field += "=" + want
		}
		parts = append(parts, field)
	}
	return strings.Join(parts, " ")
}

func (o *object) match(s *Sensor) {
	if !o.has("path") && !o.has("exporter") && !o.has("field") {
		o.r.fail(o.line, o.path, "matches nothing", "give path, exporter or field")
	}
	if it := o.text("path"); it.text != "" {
		s.Path = it.text
		glob, err := CompileGlob(it.text)
		if err != nil {
			it.fail(err.Error(), "write it as telemetry/acme/**/*.log, or *.log for any depth")
		}
		s.glob = glob
	}
	if it := o.text("exporter"); it.text != "" {
		_, errP := netip.ParsePrefix(it.text)
		_, errA := netip.ParseAddr(it.text)
		if errP == nil || errA == nil {
			s.exporter, _ = it.prefix()
			s.Exporter = it.text
		} else {
			s.Exporter, _ = it.host()
		}
	}
	if !o.has("field") {
		return
	}
	if n := o.fields["field"]; n.Kind == yaml.ScalarNode {
		s.Fields = map[string]string{o.text("field").text: ""}
		return
	}
	s.Fields = o.pairs("field", "write {field: {name: value}}, or {field: name} for any value")
}

func (o *object) tenantBy(s *Sensor) {
	s.By = o.need("field", "name the field of the source that tells tenants apart").text
	s.Map = map[string]tenant.ID{}
	pairs := o.pairs("map", "write {value: tenant}")
	for _, value := range slices.Sorted(maps.Keys(pairs)) {
		id, low := pairs[value], strings.ToLower(value)
		if first, ok := s.Map[low]; ok && first != tenant.ID(id) {
			o.fail("map", fmt.Sprintf("%q is given twice for two tenants, by case alone", printable(low)), "keep one: values are compared without case")
		}
		s.Map[low] = tenant.ID(id)
	}
	if len(s.Map) == 0 {
		o.fail("map", "names no tenant", "write {value: tenant}")
	}
}

// pairs reads a mapping of free keys to plain values.
func (o *object) pairs(key, todo string) map[string]string {
	out := map[string]string{}
	if !o.has(key) {
		return out
	}
	n := o.fields[key]
	if !o.r.kind(n, o.field(key), yaml.MappingNode, "a mapping is needed here", todo) {
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := o.r.item(n.Content[i], o.field(key))
		v := o.r.item(n.Content[i+1], o.field(key)+"."+printable(k.text))
		_, twice := out[k.text]
		switch {
		case k.bad || v.bad:
		case k.text == "" || v.text == "":
			v.fail("an empty key or value", todo)
		case twice:
			v.fail("given twice", "keep one")
		default:
			out[k.text] = v.text
		}
	}
	return out
}

// checkSensors resolves the tenants of sensors and warns of patterns that two tenants share.
func (d *declared) checkSensors(tenants map[tenant.ID]int) {
	first, named := map[string]int{}, map[string]int{}
	for i := range d.sensors {
		s, o := &d.sensors[i], d.mapping[i]
		j, taken := named[s.Name]
		switch {
		case !taken:
			named[s.Name] = i
		case s.Name != "" && (o.has("name") || d.mapping[j].has("name")):
			o.fail("name", fmt.Sprintf("%q already names the sensor on line %d", printable(s.Name), d.sensors[j].Line), "choose another name")
		}
		refer(o, "tenant", s.Tenant, tenants, "tenants")
		for _, value := range slices.Sorted(maps.Keys(s.Map)) {
			refer(o, "tenant_by", s.Map[value], tenants, "tenants")
		}
		key := fmt.Sprintf("%q %q %q", s.Path, s.Exporter, s.Fields)
		j, twice := first[key]
		if !twice {
			first[key] = i
			continue
		}
		wrong := fmt.Sprintf("matches exactly what the sensor on line %d matches and is never reached", d.sensors[j].Line)
		if !slices.Equal(d.sensors[j].tenants(), s.tenants()) {
			wrong += fmt.Sprintf("; %s gets what may be %s's", join(d.sensors[j].tenants(), ", "), join(s.tenants(), ", "))
		}
		o.warn("match", wrong, "make the two patterns differ, or tell the tenants apart with tenant_by")
	}
}
