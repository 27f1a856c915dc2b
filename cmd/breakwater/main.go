// Command breakwater finds out who is coming through whom: see the README.
package main

import (
	"os"

	"github.com/breakwater-project/breakwater/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
