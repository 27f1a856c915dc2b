package inventory

import (
	"context"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// softwareJSON reads arrays of installed programs: osqueryi --json of programs, deb_packages, rpm_packages and apps,
// PowerShell's ConvertTo-Json of uninstall keys, and inventories of like shape.
func (k Knowledge) softwareJSON() evidence.Format {
	return evidence.Format{
		Name:  "software-json",
		About: "an array of installed software: osqueryi --json of programs, deb_packages, rpm_packages or apps, or Windows' uninstall keys through ConvertTo-Json",
		Recognise: func(_ string, head []byte) bool {
			v := firstObject(head, false)
			return v != nil && isProgram(objectOf(v))
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			r := k.report(&in, sink)
			whole, err := eachRecord(ctx, in.Reader, false, r.bad, func(v *fastjson.Value, line int64) error {
				return r.object(objectOf(v), line)
			})
			if err != nil {
				return err
			}
			r.cut = !whole
			return r.done()
		},
	}
}

// isProgram tells an object that is a program: a name, a version and something that speaks of installed software.
func isProgram(o object) bool {
	if o.text(nameColumns...) == "" || !anyOf(o, versionColumns) {
		return false
	}
	if o.has("displayname") || o.has("bundleidentifier") || o.has("softwarename") || o.has("applicationname") {
		return true
	}
	return anyOf(o, publisherColumns) || anyOf(o, []string{"identifyingnumber", "installlocation", "installsource", "arch", "revision", "release", "packagegroup", "bundleshortversion", "installdate", "admindir"})
}

func anyOf(o object, names []string) bool {
	for _, n := range names {
		if o[n] != nil {
			return true
		}
	}
	return false
}

// object looks at one object as a program. An object without a name is an uninstall key of an update, or no program.
func (r *report) object(o object, line int64) error {
	p := programOf(o)
	p.line = line
	if p.name == "" {
		if len(o) == 0 {
			r.bad(line, "a record that is no object with fields")
		}
		return nil
	}
	var known bool
	if p.at, known = seen(o.text(seenColumns...), r.in.At); !known {
		return r.undated(&p)
	}
	return r.program(&p)
}

// programOf reads a program from an object's fields, and the platform from which fields there are.
func programOf(o object) program {
	p := program{
		name: o.text(nameColumns...), version: o.text(versionColumns...), publisher: o.text(publisherColumns...),
		host: o.text(hostColumns...), path: o.text(pathColumns...), platform: systemOf(o.text(systemColumns...)),
	}
	switch {
	case anyOf(o, []string{"bundleidentifier", "bundleshortversion"}):
		p.platform, p.pkg = product.PlatformMacOS, o.text("bundleidentifier")
		p.name = strings.TrimSuffix(p.name, ".app")
		if p.version == "" {
			p.version = o.text("bundleversion")
		}
	case anyOf(o, []string{"displayname", "identifyingnumber", "installsource", "uninstallstring"}):
		p.platform = product.PlatformWindows
	case anyOf(o, []string{"admindir", "maintainer", "revision"}) && o["arch"] != nil, o["release"] != nil && o["arch"] != nil, o["sha1"] != nil && o["release"] != nil:
		p.platform, p.pkg = product.PlatformLinux, p.name
		if rel := o.text("release"); rel != "" && !strings.Contains(p.version, "-") {
			p.version += "-" + rel
		}
	}
	if s := o.text("status"); strings.Contains(s, "deinstall") || strings.Contains(s, "not-installed") || strings.Contains(s, "config-files") {
		p.name = "" // dpkg still knows it; it isn't installed
	}
	return p
}
