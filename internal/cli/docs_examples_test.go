package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// yamlBlock is a block of YAML in a page that says that it is of the configuration.
var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(# breakwater.yaml.*?)^```$")

// TestConfigurationsInTheDocumentationAreValid: what stands there can be pasted.
func TestConfigurationsInTheDocumentationAreValid(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	blocks := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllSubmatchIndex(text, -1) {
			blocks++
			line := 1 + bytes.Count(text[:m[2]], []byte("\n"))
			if _, err := config.Parse("breakwater.yaml", text[m[2]:m[3]]); err != nil {
				t.Errorf("%s, the block at line %d (its line 1): %v", filepath.Base(page), line, err)
			}
		}
	}
	if blocks == 0 {
		t.Error("no block begins with # breakwater.yaml")
	}
}

// TestPackagedConfigurationIsValid holds the configuration of the package to the program.
func TestPackagedConfigurationIsValid(t *testing.T) {
	const name = "../../packaging/breakwater.yaml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	if f.Serve == nil {
		t.Error("it has no serve section")
	}
}

const unitFile = "../../packaging/breakwater.service"

// TestPackagedServiceStartsTheProgram: what the unit starts is a command of the program, with flags that it has.
func TestPackagedServiceStartsTheProgram(t *testing.T) {
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/breakwater (.+)$`).FindSubmatch(unit)
	if found == nil {
		t.Fatal("the unit starts no /usr/bin/breakwater")
	}
	cmd, rest, err := newRoot(&console{strings.NewReader(""), io.Discard, io.Discard}).Find(strings.Fields(string(found[1])))
	if err != nil || cmd.Name() != "serve" {
		t.Fatalf("%s: %v", found[1], err)
	}
	if err := cmd.ParseFlags(rest); err != nil || cmd.Flags().NArg() != 0 {
		t.Errorf("%s: %v, and %d arguments", found[1], err, cmd.Flags().NArg())
	}
}

// TestPackagedServiceIsConfined asks systemd what the unit allows, where there is one.
func TestPackagedServiceIsConfined(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine: the unit's directives are not tried")
	}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "breakwater.service")
	if err := os.WriteFile(name, bytes.ReplaceAll(unit, []byte("/usr/bin/breakwater"), []byte(program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", name).CombinedOutput(); err != nil || strings.Contains(string(out), filepath.Base(name)) {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	const exposure = 15 // of 100: what a service that only needs the network comes to
	out, err := exec.Command(analyze, "security", "--offline=true", fmt.Sprintf("--threshold=%d", exposure), name).CombinedOutput()
	if err != nil {
		t.Errorf("the unit allows more than %d of 100: %v: %s", exposure, err, out)
	}
}
