package m365

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

func TestSamplesDecodeWithoutBadRecords(t *testing.T) {
	decodetest.CloudSamples(t, Objects(), func(p string) bool {
		return strings.HasPrefix(p, "scenario/") && strings.Contains(p, "/telemetry/") && (strings.Contains(p, "/entra/") || strings.Contains(p, "/cloud/")) ||
			strings.HasPrefix(p, "endpoint/cloud/") && strings.HasSuffix(p, ".json")
	})
}
