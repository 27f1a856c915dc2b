// Package console draws what a browser shows of a running Breakwater: the live page, by the function it is given (the
// report's), and the login form. It takes values and gives bytes; show/api speaks HTTP, knows who is logged in, and
// sets the cookie. Every page comes with the Content-Security-Policy that allows its own style and script by hash and
// nothing else. What was entered wrong is shown again as text; a password never is.
package console

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

//go:embed login.html
var loginHTML string

//go:embed login.css
var loginCSS string

// loginPolicy allows the one style and our own form. Nothing runs on the page that takes passwords.
var loginPolicy = "default-src 'none'; style-src '" + hash(loginCSS) + "'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var loginTemplate = template.Must(template.New("login").Parse(loginHTML))

// Options say how the live page is drawn.
type Options struct {
	Draw   func(w io.Writer, v api.View, fragment bool) error
	Policy string // the live page's Content-Security-Policy
}

// Pages draws the pages; it is what api.Options asks for.
type Pages struct{ opt Options }

// New returns the pages.
func New(opt Options) *Pages { return &Pages{opt} }

// Live draws the page of what somebody may see, or the part that a page on screen takes in.
func (p *Pages) Live(v api.View, fragment bool) (api.Page, error) {
	var buf bytes.Buffer
	if err := p.opt.Draw(&buf, v, fragment); err != nil {
		return api.Page{}, fmt.Errorf("drawing the live page: %w", err)
	}
	return api.Page{Body: buf.Bytes(), Policy: p.opt.Policy}, nil
}

// Login draws the login form.
func (p *Pages) Login(v api.LoginView) (api.Page, error) {
	var buf bytes.Buffer
	err := loginTemplate.Execute(&buf, struct {
		api.LoginView
		CSS template.CSS
	}{v, template.CSS(loginCSS)})
	if err != nil {
		return api.Page{}, fmt.Errorf("drawing the login form: %w", err)
	}
	return api.Page{Body: buf.Bytes(), Policy: loginPolicy}, nil
}
