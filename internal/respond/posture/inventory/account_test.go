package inventory

import (
	"strings"
	"testing"
)

const usersCSV = `Technician;E-Mail Address;Role;Two Factor;Last Login;Status;Allowed IPs
Anna Ahrens;Anna@msp.example;Administrator;Enabled;2026-11-18 09:00:00;Active;203.0.113.0/24
Support;support@msp.example;Admin;;2026-01-01 10:00:00;Active;any
Ben Boll;ben@msp.example;Technician;TOTP app;never;Disabled;
;;;;;;
Carl;carl@msp.example;Read only;No;18.11.2026 07:00;Active;*
`

const graphUsers = `{"@odata.context":"x","value":[
{"userPrincipalName":"Adm@acme.example","displayName":"Adm","accountEnabled":true,"userType":"Member","createdDateTime":"2020-01-01T00:00:00Z","signInActivity":{"lastSignInDateTime":"2026-11-19T00:00:00Z","lastSuccessfulSignInDateTime":"2026-11-18T00:00:00Z"}},
{"userPrincipalName":"guest_x#EXT#@acme.example","accountEnabled":false,"userType":"Guest","signInActivity":null}]}`

const registrationJSON = `{"value":[{"id":"1","userPrincipalName":"adm@acme.example","isAdmin":true,"isMfaRegistered":false,"isMfaCapable":false,"methodsRegistered":[],"userType":"member"},
{"id":"2","userPrincipalName":"b@acme.example","isAdmin":false,"isMfaRegistered":true,"methodsRegistered":["microsoftAuthenticatorPush"],"userType":"member"}]}`

const registrationCSV = "\ufeff" + `"userPrincipalName","userDisplayName","isAdmin","isMfaRegistered","isMfaCapable","lastUpdatedDateTime"
"adm@acme.example","Adm","True","False","False","2026-11-18T00:00:00Z"
`

func TestAccountsOfConsoles(t *testing.T) {
	r := read(t, Knowledge{}, "exports/ninja-users.csv", usersCSV)
	same(t, r, "account-csv", []string{
		"ninja-users: anna@msp.example address_restricted=true admin=true enabled=true generic_name=false last_login=2026-11-18 09:00:00 +0000 UTC mfa=true",
		"ninja-users: support@msp.example address_restricted=false admin=true enabled=true generic_name=true last_login=2026-01-01 10:00:00 +0000 UTC",
		"ninja-users: ben@msp.example admin=false enabled=false generic_name=false mfa=true mfa_method=TOTP app never_logged_in=true",
		"ninja-users: carl@msp.example address_restricted=false admin=false enabled=true generic_name=false last_login=2026-11-18 07:00:00 +0000 UTC mfa=false",
		"ninja-users accounts=4 admins=2 enabled=3 unreadable=1",
	}, "5: a row without an account")
	if tells := r.items[1].Values["tells"].([]any); len(tells) != 5 {
		t.Errorf("the export tells %v", tells)
	}
}

func TestAccountsOfEntra(t *testing.T) {
	same(t, read(t, Knowledge{}, "users.json", graphUsers), "entra-users", []string{
		"entra: adm@acme.example created=2020-01-01 00:00:00 +0000 UTC enabled=true generic_name=false guest=false last_login=2026-11-18 00:00:00 +0000 UTC",
		"entra: guest_x#ext#@acme.example enabled=false generic_name=false guest=true",
		"entra accounts=2 enabled=1 unreadable=0",
	})
	same(t, read(t, Knowledge{}, "registration.json", registrationJSON), "entra-users", []string{
		"entra: adm@acme.example admin=true generic_name=false guest=false mfa=false",
		"entra: b@acme.example admin=false generic_name=false guest=false mfa=true",
		"entra accounts=2 admins=1 admins_without_mfa=1 unreadable=0",
	})
	same(t, read(t, Knowledge{}, "registration.csv", registrationCSV), "account-csv", []string{
		"entra: adm@acme.example admin=true generic_name=false mfa=false",
		"entra accounts=1 admins=1 admins_without_mfa=1 unreadable=0",
	})
	cut := graphUsers[:strings.Index(graphUsers, "guest_x")]
	r := read(t, Knowledge{}, "users.json", cut)
	if got := r.tell(); len(got) != 2 || len(r.bad) != 1 || !strings.Contains(r.bad[0], "cut short") {
		t.Errorf("cut: %q %q", got, r.bad)
	}
}

func TestColumnsOfASiteReplaceTheDefaultOnes(t *testing.T) {
	columns, err := ReadAccountColumns(strings.NewReader("account: [Bediener]\nmfa: [Zweiter Faktor]\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := "Bediener,Zweiter Faktor\nanna,ja\n"
	if r := read(t, Knowledge{}, "x.csv", text); r.format != "" {
		t.Errorf("read as %s without the site's columns", r.format)
	}
	same(t, read(t, Knowledge{Columns: columns}, "x.csv", text), "account-csv", []string{"x: anna generic_name=false mfa=true", "x accounts=1 unreadable=0"})
	for _, bad := range []string{"acount: [x]", "account: x: y", "- a"} {
		if _, err := ReadAccountColumns(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestNamesThatStandForATask(t *testing.T) {
	for name, want := range map[string]bool{"support@msp.example": true, "admin": true, "msp-admin": true, `acme\administrator`: true, "it.support2": true, "anna": false, "anna.admin": false, "a.techmann": false, "": false, "42": false} {
		if got := genericName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestSecondFactorsAreReadFromTheirNames(t *testing.T) {
	for text, want := range map[string]string{"Enabled": "true", "TOTP": "true", "SMS, app": "true", "None": "false", "password only": "false", "": "", "pending": "", "-": "", "Not registered": "false", "maybe": ""} {
		got := ""
		if b, _ := factorOf(text); b != nil {
			got = map[bool]string{true: "true", false: "false"}[*b]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
