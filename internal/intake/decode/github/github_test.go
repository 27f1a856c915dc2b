package github

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"entry of the API", `{"@timestamp":1789985420123,"_document_id":"d-1","action":"repo.destroy","actor":"Eve","actor_id":7,"actor_ip":"203.0.113.60","actor_location":{"country_code":"de"},"created_at":1789985420123,"operation_type":"remove","org":"client","repo":"client/plan","user_agent":"git","hashed_token":"h="}`,
		"github/audit 2026-09-21T10:10:20.123Z 6003 delete success id=d-1 user=eve src=203.0.113.60 home= resource=client cross= app= DE 0 mfa= sp=false int=false err= keys=[]"},
	{"member added by a bot", `{"action":"org.add_member","actor":"isarlink[bot]","created_at":1789985420000,"org":"client","user":"Eve","user_id":8}`,
		"github/audit 2026-09-21T10:10:20Z 3006 create success id= user=eve src= home= resource=client cross= app=  0 mfa= sp=true int=false err= keys=[]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"time_is_text":  {`{"action":"repo.create","actor":"x","org":"o","created_at":"noon"}`, "not a time"},
		"of_other_kind": {`{"action":"allow","actor":"x","created_at":1789985420000}`, "no known source"},
		"too_deep":      {`{"action":"repo.create","x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "deeper"},
	})
}

const webCSV = "action,actor,user,org,repo,created_at,actor_location.country_code\nrepo.access,eve,,client,client/plan,1789985420000,DE\n"

func TestExportOfTheWebPages(t *testing.T) {
	c := decodetest.File(t, Streams(), "export.csv", webCSV)
	if len(c.Events) != 1 || len(c.Reasons) != 0 || c.Events[0].Cloud.Resource != "client/plan" || c.Events[0].Cloud.Country != "DE" {
		t.Errorf("bad %q, events %v", c.Reasons, c.Events)
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{webCSV}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), Streams(), seeds...)
}
