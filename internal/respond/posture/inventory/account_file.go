package inventory

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// accountCSV reads exports of users as tables, Entra's "Download users" and "User registration details" among them.
func (k Knowledge) accountCSV() evidence.Format {
	knows := func(h *header) bool { return isAccountTable(h, k.Columns) }
	return evidence.Format{
		Name:      "account-csv",
		About:     "a table of the users of a remote-management console or of Entra, with a column for the account and one for its second factor or its last log-in (CSV with commas, semicolons or tabs)",
		Recognise: func(_ string, head []byte) bool { return findHeader(head, knows) },
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			a := newAccounts(&in, sink, "")
			t, err := openTable(in.Reader, knows, a.bad)
			if err != nil {
				return err
			}
			if t == nil {
				return evidence.ErrNotThis
			}
			if t.h.find("userprincipalname") >= 0 {
				a.standard = "entra"
			}
			at := map[string]int{}
			for _, field := range accountFields {
				if i := t.h.find(k.Columns[field]...); i >= 0 {
					at[field] = i
				}
			}
			err = every(ctx, func() (bool, error) {
				cells, n, err := t.row()
				if errors.Is(err, io.EOF) {
					return false, nil
				}
				if err != nil {
					a.bad(0, "reading breaks off: "+err.Error())
					return false, nil
				}
				row := accountRow{}
				for field, i := range at {
					row[field] = cells[i]
				}
				return true, a.add(row, n)
			})
			if err != nil {
				return err
			}
			return a.done()
		},
	}
}

// accountJSON reads arrays of users with fields named as the columns are.
func (k Knowledge) accountJSON() evidence.Format {
	return evidence.Format{
		Name:  "account-json",
		About: "an array of the users of a remote-management console, with a field for the account and one for its second factor or its last log-in (JSON)",
		Recognise: func(_ string, head []byte) bool {
			v := firstObject(head, false)
			return v != nil && isAccountObject(objectOf(v), k.Columns)
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			return k.readAccounts(ctx, in, sink, "")
		},
	}
}

// entraFormat reads what Microsoft Graph answers of users and of their registration details.
func (k Knowledge) entraFormat() evidence.Format {
	return evidence.Format{
		Name:  "entra-users",
		About: "Microsoft Graph's answer to /users (with accountEnabled and signInActivity) or to /reports/authenticationMethods/userRegistrationDetails (JSON)",
		Recognise: func(_ string, head []byte) bool {
			v := firstObject(head, false)
			return v != nil && v.Exists("userPrincipalName") && (v.Exists("accountEnabled") || v.Exists("isMfaRegistered") || v.Exists("signInActivity"))
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			return k.readAccounts(ctx, in, sink, "entra")
		},
	}
}

func isAccountObject(o object, c AccountColumns) bool {
	has := func(field string) bool { return anyOf(o, c[field]) }
	if o.text(c["account"]...) == "" || anyOf(o, []string{"requestid", "correlationid", "eventid"}) {
		return false
	}
	return has("mfa") || has("last_login") && (has("role") || has("enabled") || has("disabled") || has("admin"))
}

func (k Knowledge) readAccounts(ctx context.Context, in evidence.Input, sink evidence.Sink, standard string) error {
	a := newAccounts(&in, sink, standard)
	_, err := eachRecord(ctx, in.Reader, false, a.bad, func(v *fastjson.Value, line int64) error {
		o := objectOf(v)
		row := accountRow{}
		for _, field := range accountFields {
			for _, n := range k.Columns[field] {
				if value := o[n]; value != nil {
					if s := valueText(value); s != "" || row[field] == "" {
						row[field] = s
					}
					if row[field] != "" {
						break
					}
				}
			}
		}
		// Graph nests the last sign-in; which is there depends on the licence.
		if act := v.Get("signInActivity"); act != nil {
			row["last_login"] = ""
			for _, n := range []string{"lastSuccessfulSignInDateTime", "lastSignInDateTime", "lastNonInteractiveSignInDateTime"} {
				if s := textOf(act.Get(n)); s != "" {
					row["last_login"] = s
					break
				}
			}
		}
		if standard == "entra" {
			row["guest"] = ""
			switch textOf(v.Get("userType")) {
			case "Guest", "guest":
				row["guest"] = "true"
			case "Member", "member":
				row["guest"] = "false"
			}
			delete(row, "role") // userType is no role
			delete(row, "console")
		}
		return a.add(row, line)
	})
	if err != nil {
		return err
	}
	return a.done()
}

// valueText returns a value as text; of a list its texts, parted by commas.
func valueText(v *fastjson.Value) string {
	if v.Type() != fastjson.TypeArray {
		return textOf(v)
	}
	var parts []string
	for _, x := range v.GetArray() {
		if s := textOf(x); s != "" && len(parts) < 100 {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}
