package okta

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"event of the API", `{"uuid":"o-1","published":"2026-09-21T10:10:20.123Z","eventType":"user.session.start","version":"0","severity":"INFO","legacyEventType":"core.user_auth.login_failed","displayMessage":"User login to Okta","actor":{"id":"00u1","type":"User","alternateId":"S.Romero@isarlink-it.de","displayName":"S. Romero"},"client":{"userAgent":{"rawUserAgent":"Mozilla","os":"x"},"ipAddress":"81.76.245.170","geographicalContext":{"country":"Germany"}},"outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},"target":null,"securityContext":{"asNumber":3209,"isProxy":true},"debugContext":{"debugData":{"requestUri":"/api/v1/authn"}}}`,
		"okta/system 2026-09-21T10:10:20.123Z 3002 logon failure id=o-1 user=s.romero@isarlink-it.de src=81.76.245.170 home= resource= cross= app=  3209 mfa= sp=false int=true err=INVALID_CREDENTIALS keys=[]"},
	{"factor reset by the desk", `{"uuid":"o-2","published":"2026-09-21T10:10:20Z","eventType":"user.mfa.factor.deactivate","actor":{"id":"00u1","type":"User","alternateId":"desk@isarlink-it.de"},"client":{"ipAddress":"81.76.245.170"},"outcome":{"result":"SUCCESS"},"target":[{"id":"00u2","type":"User","alternateId":"Eve@b.de","displayName":"Eve"},{"id":"f","type":"AuthenticatorEnrollment","displayName":"SMS"}]}`,
		"okta/system 2026-09-21T10:10:20Z 3001 other success id=o-2 user=eve@b.de src=81.76.245.170 home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"event of EventBridge", `{"version":"0","id":"x","detail-type":"SystemLog","source":"aws.partner/okta.com/y","time":"2026-09-21T10:10:21Z","detail":{"uuid":"o-3","published":"2026-09-21T10:10:20Z","eventType":"group.privilege.grant","actor":{"id":"0oa1","type":"PublicClientApp","displayName":"Sync"},"outcome":{"result":"SUCCESS"},"target":[{"id":"00g1","type":"UserGroup","displayName":"Admins"}]}}`,
		"okta/system 2026-09-21T10:10:20Z 3006 other success id=o-3 user=sync src= home= resource= cross= app=  0 mfa= sp=true int=false err= keys=[]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"no_time":       {`{"eventType":"user.session.start","actor":{"id":"x"},"legacyEventType":"y"}`, "no time"},
		"of_other_kind": {`{"eventType":"x","published":"2026-09-21T10:10:20Z"}`, "no known source"},
		"too_deep":      {`{"eventType":"user.session.start","target":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "deeper"},
	})
}

func TestDetailIsFoundUnderItsOwnNames(t *testing.T) {
	e := decodetest.One(t, Objects(), records[2].Text)
	for name, want := range map[string]string{"eventType": "group.privilege.grant", "target.0.displayName": "Admins"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

const consoleCSV = "timestamp,authentication_context.external_session_id,display_message,event_type,outcome.result,outcome.reason,security_context.as_number,client.ip_address,client.user_agent.raw_user_agent,actor.id,actor.type,actor.alternate_id,actor.display_name,uuid,target0.id,target0.type,target0.alternate_id,target0.display_name\n" +
	"2026-09-21T10:10:20Z,s-1,Reset password,user.account.reset_password,SUCCESS,,3209,81.76.245.170,Mozilla,00u1,User,desk@isarlink-it.de,Desk,o-4,00u2,User,Eve@b.de,Eve\n"

func TestExportOfTheConsole(t *testing.T) {
	c := decodetest.File(t, Streams(), "x.csv", consoleCSV)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q", len(c.Events), c.Reasons)
	}
	e := c.Events[0]
	if want := "okta/system 2026-09-21T10:10:20Z 3001 password reset success id=o-4 user=eve@b.de src=81.76.245.170 home= resource= cross= app=  3209 mfa= sp=false int=false err= keys=[]"; decodetest.CloudLine(e) != want {
		t.Errorf("got  %s\nwant %s", decodetest.CloudLine(e), want)
	}
	if e.Actor.Name != "desk@isarlink-it.de" || e.Fields.Value("target.0.displayName") != "Eve" {
		t.Errorf("actor %v, fields %v", e.Actor, e.Fields)
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{consoleCSV}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), Streams(), seeds...)
}
