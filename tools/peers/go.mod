// The peers that we are measured against, in a module of their own: none of them is in the program, and what looks
// after the code doesn't need them.
module github.com/breakwater-project/breakwater/tools/peers

go 1.26.0

replace github.com/breakwater-project/breakwater => ../..

require (
	github.com/breakwater-project/breakwater v0.0.0-00010101000000-000000000000
	www.velocidex.com/golang/evtx v0.2.0
)

require (
	github.com/Velocidex/ordereddict v0.0.0-20210502082334-cf5d9045c0d1 // indirect
	github.com/Velocidex/pkcs7 v0.0.0-20210524015001-8d1eee94a157 // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/hashicorp/golang-lru v0.5.4 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pkg/errors v0.8.1 // indirect
	github.com/valyala/fastjson v1.6.10 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
	www.velocidex.com/golang/binparsergen v0.1.1-0.20201101234514-bbdb29f9ee31 // indirect
	www.velocidex.com/golang/go-pe v0.1.1-0.20211006062218-8f6d1ad6b2d5 // indirect
)
