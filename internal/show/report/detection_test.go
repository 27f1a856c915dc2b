package report

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// object is any JSON object.
type object = map[string]any

// schema is the OCSF schema, read from its own files.
type schema struct {
	attributes, types object // of dictionary.json
	objects, events   map[string]object
	files             map[string]object
	observables       map[string]string // type_id → caption, as the schema compiler collects them
}

func readSchema(t *testing.T) *schema {
	dir := os.Getenv("BREAKWATER_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, "ocsf", "ocsf-schema.tar.zst"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the OCSF schema is not there (%v); set BREAKWATER_DATA to the folder that holds ocsf/ocsf-schema.tar.zst", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	s := &schema{objects: map[string]object{}, events: map[string]object{}, files: map[string]object{}, observables: map[string]string{}}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(h.Name) != ".json" {
			continue
		}
		var o object
		if err := json.NewDecoder(r).Decode(&o); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		s.files[name] = o
		switch {
		case strings.HasPrefix(name, "objects/"):
			s.objects[o["name"].(string)] = o
		case strings.HasPrefix(name, "events/"):
			s.events[o["name"].(string)] = o
		}
	}
	dict := s.files["dictionary.json"]
	s.attributes, s.types = dict["attributes"].(object), dict["types"].(object)["attributes"].(object)
	s.collect()
	return s
}

// collect finds the observable types that the schema compiler adds to observable.type_id: those of types, of
// dictionary attributes, of objects and of attributes of objects.
func (s *schema) collect() {
	add := func(o object, caption string) {
		if n, ok := o["observable"].(float64); ok {
			s.observables[strconv.Itoa(int(n))] = caption
		}
	}
	for _, set := range []object{s.types, s.attributes} {
		for _, v := range set {
			add(v.(object), v.(object)["caption"].(string))
		}
	}
	for _, o := range s.objects {
		caption, _ := o["caption"].(string)
		add(o, caption)
		for name, v := range o["attributes"].(object) {
			if a, ok := v.(object); ok && s.attributes[name] != nil {
				c, _ := s.attributes[name].(object)["caption"].(string)
				add(a, c)
			}
		}
	}
}

// resolve merges what an object or event extends and includes, the nearest winning. Attributes of profiles that
// nobody applied are left out, unless the class claims them as its own ("profile": null).
func (s *schema) resolve(set map[string]object, o object) (attrs map[string]object, constraints object) {
	attrs = map[string]object{}
	if base, _ := o["extends"].(string); base != "" && set[base] != nil {
		attrs, constraints = s.resolve(set, set[base])
	}
	for name, v := range o["attributes"].(object) {
		if name == "$include" {
			continue
		}
		a := object{}
		for k, x := range attrs[name] {
			a[k] = x
		}
		for k, x := range v.(object) {
			if k == "enum" && a["enum"] != nil {
				all := object{}
				for _, e := range []object{a["enum"].(object), x.(object)} {
					for n, c := range e {
						all[n] = c
					}
				}
				x = all
			}
			a[k] = x
		}
		attrs[name] = a
	}
	if c, ok := o["constraints"].(object); ok {
		constraints = c
	}
	return attrs, constraints
}

func (s *schema) check(where, kind string, set map[string]object, v object) (problems []string) {
	bad := func(format string, a ...any) { problems = append(problems, where+": "+fmt.Sprintf(format, a...)) }
	def := set[kind]
	if def == nil {
		bad("the schema has no %s", kind)
		return
	}
	attrs, constraints := s.resolve(set, def)
	for name, a := range attrs {
		if a["requirement"] == "required" && v[name] == nil {
			bad("%s is required", name)
		}
	}
	if list, ok := constraints["at_least_one"].([]any); ok && !slices.ContainsFunc(list, func(n any) bool { return v[n.(string)] != nil }) {
		bad("at least one of %v is required", list)
	}
	for name, x := range v {
		a, dict := attrs[name], s.attributes[name]
		if a == nil || dict == nil {
			bad("%s is not an attribute of %s", name, kind)
			continue
		}
		if dep, ok := a["@deprecated"]; ok {
			bad("%s is deprecated: %v", name, dep)
		}
		d := dict.(object)
		if array, _ := d["is_array"].(bool); array {
			list, ok := x.([]any)
			if !ok {
				bad("%s must be an array", name)
			}
			for i, y := range list {
				problems = append(problems, s.value(fmt.Sprintf("%s.%s[%d]", where, name, i), name, a, d, y, v)...)
			}
			continue
		}
		problems = append(problems, s.value(where+"."+name, name, a, d, x, v)...)
	}
	return problems
}

func (s *schema) value(where, name string, a, d object, x any, parent object) (problems []string) {
	typ := d["type"].(string)
	if s.types[typ] == nil {
		o, ok := x.(object)
		if !ok {
			return []string{where + ": must be an object " + typ}
		}
		if typ == "object" { // unmapped: anything
			return nil
		}
		return s.check(where, typ, s.objects, o)
	}
	enum := object{}
	for _, from := range []object{d, a} {
		if e, ok := from["enum"].(object); ok {
			for k, c := range e {
				enum[k] = c
			}
		}
	}
	if s.isObservable(parent) && name == "type_id" {
		for id, caption := range s.observables {
			enum[id] = object{"caption": caption}
		}
	}
	if p := s.scalar(typ, x); p != "" {
		return []string{where + ": " + p}
	}
	if len(enum) == 0 || name == "class_uid" || name == "category_uid" { // set by the schema compiler; the test checks them
		return nil
	}
	n := fmt.Sprint(x)
	c, ok := enum[n].(object)
	if !ok {
		return []string{where + ": " + n + " is not one of its values"}
	}
	sibling, _ := d["sibling"].(string)
	if said, ok := parent[sibling]; ok && n != "99" && said != c["caption"] {
		return []string{fmt.Sprintf("%s: %s says %q, and %s says %q", where, name, c["caption"], sibling, said)}
	}
	return nil
}

func (s *schema) isObservable(o object) bool { return o["type_id"] != nil && o["value"] != nil }

func (s *schema) scalar(typ string, x any) string {
	def := s.types[typ].(object)
	base := typ
	if b, ok := def["type"].(string); ok {
		base = b
	}
	switch base {
	case "json_t":
		return ""
	case "boolean_t":
		if _, ok := x.(bool); !ok {
			return "must be a boolean"
		}
	case "integer_t", "long_t", "float_t":
		n, ok := x.(float64)
		if !ok || base != "float_t" && n != math.Trunc(n) {
			return "must be a number"
		}
		if r, ok := def["range"].([]any); ok && (n < r[0].(float64) || n > r[1].(float64)) {
			return fmt.Sprintf("%v is out of range", n)
		}
	default:
		v, ok := x.(string)
		if !ok {
			return "must be a string"
		}
		if m, ok := def["max_len"].(float64); ok && len(v) > int(m) {
			return "is too long"
		}
		if re, ok := def["regex"].(string); ok && !regexp.MustCompile(re).MatchString(v) {
			return fmt.Sprintf("%q is not a %s", v, typ)
		}
	}
	return ""
}

func TestOCSFIsValidAgainstTheSchema(t *testing.T) {
	s := readSchema(t)
	cases := 0
	for name, f := range fixtures {
		res, m := f()
		for _, e := range []ocsf.EntityType{ocsf.EntityIP, ocsf.EntityHost, ocsf.EntityUser, ocsf.EntityMailbox, ocsf.EntityDomain, ocsf.EntityURL, ocsf.EntityHash,
			ocsf.EntityProcess, ocsf.EntityRMM, ocsf.EntitySession, ocsf.EntityApp, ocsf.EntityMessage, ocsf.EntityCertKey, ocsf.EntityService, ocsf.EntityResource} {
			res.List[0].AddEntity(e, "value", "")
		}
		res.List[1].Technique = "T1566.002"
		res.List = append(res.List, &ocsf.Finding{}) // even an empty one must be valid
		var b bytes.Buffer
		if err := OCSF(&b, res, m); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			var v object
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			for _, p := range s.check(fmt.Sprintf("%s %d", name, i+1), "detection_finding", s.events, v) {
				t.Error(p)
			}
			category := s.files["categories.json"]["attributes"].(object)["findings"].(object)
			uid := s.events["detection_finding"]["uid"].(float64)
			if v["category_uid"] != category["uid"] || v["class_uid"] != 1000*category["uid"].(float64)+uid ||
				v["type_uid"] != 100*v["class_uid"].(float64)+v["activity_id"].(float64) {
				t.Errorf("%s %d: category %v, class %v, type %v", name, i+1, v["category_uid"], v["class_uid"], v["type_uid"])
			}
			cases++
		}
	}
	if want := s.files["version.json"]["version"]; want != ocsfVersion {
		t.Errorf("the schema is version %v, and we say %s", want, ocsfVersion)
	}
	fmt.Printf("cases %d\n", cases)
}

func TestOCSFValidatorSeesFaults(t *testing.T) {
	s := readSchema(t)
	res, m := fixture()
	for name, spoil := range map[string]func(object){
		"missing":  func(v object) { delete(v, "finding_info") },
		"unknown":  func(v object) { v["tenant"] = "x" },
		"enum":     func(v object) { v["severity_id"] = 7.0 },
		"sibling":  func(v object) { v["severity"] = "Low" },
		"type":     func(v object) { v["time"] = "now" },
		"deep":     func(v object) { v["evidences"].([]any)[0].(object)["src_endpoint"].(object)["ip"] = "nowhere" },
		"observed": func(v object) { v["observables"].([]any)[0].(object)["type_id"] = 77.0 },
		"one of":   func(v object) { v["finding_info"].(object)["attacks"] = []any{object{}} },
	} {
		var b bytes.Buffer
		if err := OCSF(&b, res, m); err != nil {
			t.Fatal(err)
		}
		var v object
		if err := json.NewDecoder(&b).Decode(&v); err != nil {
			t.Fatal(err)
		}
		spoil(v)
		if len(s.check("finding", "detection_finding", s.events, v)) == 0 {
			t.Errorf("%s: not seen", name)
		}
	}
}
