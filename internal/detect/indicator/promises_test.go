package indicator

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
)

func fresh() detect.Detector {
	set, _ := Load(strings.NewReader("bad.example\nevil1.app\n100.10.0.1\n198.51.0.0/16\n"), "bad.txt")
	return New(detect.Context{Model: detecttest.Model()}, set)
}

func TestItKeepsThePromisesOfADetector(t *testing.T) { detecttest.Promises(t, fresh) }

func TestStateStaysBoundedOverAYear(t *testing.T) { detecttest.StaysBounded(t, fresh, 30) }
