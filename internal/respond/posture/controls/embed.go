// Package controls holds the controls that ship with Breakwater, a YAML file each: controls/<folder>/<id>.yaml. The
// folder is the pillar's, or "practice" for what people write down because no export tells it. Package posture reads
// and judges them.
package controls

import "embed"

// Files holds every control that ships.
//
//go:embed */*.yaml
var Files embed.FS
