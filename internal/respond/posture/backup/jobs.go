package backup

import "github.com/breakwater-project/breakwater/internal/respond/posture/evidence"

func jobFormats() []evidence.Format { return nil }
