package firstcontact

import (
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
)

func anew() detect.Detector { return New(detect.Context{Model: detecttest.Model()}) }

func TestItKeepsThePromisesOfADetector(t *testing.T) { detecttest.Promises(t, anew) }

func TestStateStaysBoundedOverAYear(t *testing.T) { detecttest.StaysBounded(t, anew, 200) }
