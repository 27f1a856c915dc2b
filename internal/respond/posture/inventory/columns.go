package inventory

import (
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// The names under which inventories hold what a program is, simplified (letters and digits, lower case), the most
// telling first. They are those of osquery's tables, of Windows' uninstall keys, of winget, and of the exports of
// remote-management products and asset registers in English and German.
var (
	nameColumns = []string{"displayname", "softwarename", "applicationname", "software", "application", "programname", "program", "packagename",
		"productname", "softwareproduct", "apptitle", "appname", "softwaretitle", "installedsoftware", "anwendung", "programm", "softwarebezeichnung", "title", "product", "name"}
	versionColumns = []string{"displayversion", "softwareversion", "applicationversion", "productversion", "appversion", "bundleshortversion", "installedversion", "currentversion",
		"versionnumber", "packageversion", "version", "softwareversionen"}
	publisherColumns = []string{"publisher", "softwarepublisher", "vendor", "softwarevendor", "manufacturer", "softwaremanufacturer", "company", "maintainer", "hersteller", "herausgeber", "anbieter"}
	hostColumns      = []string{"hostname", "computername", "devicename", "machinename", "systemname", "endpointname", "agentname", "assetname", "nodename", "servername", "pscomputername",
		"hostidentifier", "computer", "device", "machine", "endpoint", "host", "asset", "workstation", "system", "server", "gerät", "gerätename", "rechner", "rechnername"}
	packageColumns = []string{"bundleidentifier", "packageidentifier", "packageid", "wingetid"}
	pathColumns    = []string{"imagepath", "commandline", "uninstallstring", "quietuninstallstring", "installlocation", "installpath", "installationpath", "path"}
	seenColumns    = []string{"lastseen", "lastinventory", "lastinventorydate", "inventorydate", "lastscan", "lastscandate", "scandate", "lastcheckin", "lastcontact", "lastreported",
		"lastaudit", "lastauditdate", "collectedat", "collected", "lastupdated", "letzterkontakt", "letzteinventur"}
	systemColumns = []string{"operatingsystem", "osname", "os", "osplatform", "platform", "betriebssystem"}
)

// softwareColumns says which of a table's columns hold what; -1: none.
type softwareColumns struct{ name, version, publisher, host, pkg, path, seen, system int }

// softwareIn looks for the columns of an inventory; ok is false where the table is none.
func softwareIn(h *header) (c softwareColumns, ok bool) {
	c = softwareColumns{h.find(nameColumns...), h.find(versionColumns...), h.find(publisherColumns...), h.find(hostColumns...),
		h.find(packageColumns...), h.find(pathColumns...), h.find(seenColumns...), h.find(systemColumns...)}
	if c.host < 0 {
		// "Name, Software Name, Version": the plain name is the machine's.
		if plain := h.find("name"); plain >= 0 && plain != c.name {
			c.host = plain
		}
	}
	if c.name < 0 || c.version < 0 || c.name == c.host {
		return c, false
	}
	// A name and a version alone are in many tables; something else must speak of installed software.
	telling := h.names[c.name] != "name" && h.names[c.name] != "title" && h.names[c.name] != "product"
	return c, telling || c.publisher >= 0 || c.host >= 0 || h.count == 2
}

// systemOf reads an operating system's name.
func systemOf(s string) product.Platform {
	s = strings.ToLower(s)
	for _, x := range []struct {
		part string
		is   product.Platform
	}{{"windows", product.PlatformWindows}, {"macos", product.PlatformMacOS}, {"mac os", product.PlatformMacOS}, {"os x", product.PlatformMacOS}, {"darwin", product.PlatformMacOS},
		{"linux", product.PlatformLinux}, {"ubuntu", product.PlatformLinux}, {"debian", product.PlatformLinux}, {"red hat", product.PlatformLinux}, {"rhel", product.PlatformLinux},
		{"centos", product.PlatformLinux}, {"rocky", product.PlatformLinux}, {"suse", product.PlatformLinux}, {"fedora", product.PlatformLinux}} {
		if strings.Contains(s, x.part) {
			return x.is
		}
	}
	if strings.HasPrefix(s, "win") {
		return product.PlatformWindows
	}
	return ""
}

// The layouts in which consoles write times beside those of RFC 3339: day or month first can't be told by the layout.
var (
	dayFirst   = []string{"2/1/2006 15:04:05", "2/1/2006 15:04", "2/1/2006 3:04:05 PM", "2/1/2006 3:04 PM", "2/1/2006, 3:04:05 PM", "2/1/2006, 15:04:05", "2/1/2006"}
	monthFirst = []string{"1/2/2006 15:04:05", "1/2/2006 15:04", "1/2/2006 3:04:05 PM", "1/2/2006 3:04 PM", "1/2/2006, 3:04:05 PM", "1/2/2006, 15:04:05", "1/2/2006"}
	others     = []string{"2006-01-02 15:04", time.DateOnly, "2.1.2006 15:04:05", "2.1.2006 15:04", "2.1.2006", "2006/01/02 15:04:05", "2006/01/02", "20060102",
		"Jan 2, 2006 3:04:05 PM", "Jan 2, 2006, 3:04:05 PM", "Jan 2, 2006", "2 Jan 2006 15:04:05", "2 Jan 2006", "Mon Jan 2 15:04:05 2006", "January 2, 2006"}
)

// timeOf reads a time as exports have it. Where day and month can't be told apart, the earlier of both readings
// counts: a fact must not look fresher than it is. Times without a zone are taken as UTC.
func timeOf(s string) (time.Time, bool) {
	s = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "UTC"))
	if len(s) < 6 || len(s) > 60 {
		return time.Time{}, false
	}
	if len(s) == 8 { // 20260301 is a day, not seconds since 1970
		if t, err := time.Parse("20060102", s); err == nil && t.Year() > 1990 {
			return t, true
		}
	}
	if t, ok := decode.ParseTime(s); ok {
		return t, true
	}
	for _, layout := range others {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), plausible(t)
		}
	}
	a, ok1 := first(s, dayFirst)
	b, ok2 := first(s, monthFirst)
	switch {
	case ok1 && ok2 && b.Before(a), !ok1:
		return b, ok2 && plausible(b)
	}
	return a, plausible(a)
}

func first(s string, layouts []string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func plausible(t time.Time) bool { return t.Year() > 1990 && t.Year() < 2100 }

// seen is when a row was last true: by its own time where it has one, never later than the file. A time that can't be
// read leaves it unknown: the row may be years old.
func seen(text string, file time.Time) (at time.Time, known bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, true
	}
	t, ok := timeOf(text)
	if !ok {
		return time.Time{}, false
	}
	if !file.IsZero() && t.After(file) {
		t = file
	}
	return t, true
}
