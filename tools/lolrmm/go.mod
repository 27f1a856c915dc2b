// Lolrmm is a module of its own, so that what it needs weighs on nobody who builds breakwater.
module github.com/breakwater-project/breakwater/tools/lolrmm

go 1.26.0

require go.yaml.in/yaml/v3 v3.0.6
