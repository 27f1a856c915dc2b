package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var written = time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)

// read reads a file by the first format that recognises it, as a folder of evidence does.
func read(t *testing.T, name, content string) (format string, items []evidence.Item, bad []string) {
	t.Helper()
	for _, f := range Formats() {
		if !f.Recognise(name, []byte(content)) {
			continue
		}
		err := f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: name, At: written, Reader: strings.NewReader(content)}, evidence.Sink{
			Item: func(i evidence.Item) error { items = append(items, i); return nil },
			Bad:  func(line int64, reason string) { bad = append(bad, fmt.Sprintf("%d: %s", line, reason)) },
		})
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		return f.Name, items, bad
	}
	return "", nil, nil
}

const gophishResults = `id,status,ip,latitude,longitude,send_date,reported,modified_date,email,first_name,last_name,position
a1,Submitted Data,10.0.0.1,0,0,2026-05-04T09:00:00Z,false,2026-05-04T09:12:00Z,Ann@acme.example,Ann,A,Accounts
a2,Email Sent,,0,0,2026-05-04T09:00:00Z,true,2026-05-04T09:05:00Z,ben@acme.example,Ben,B,Support
a3,Error,,0,0,2026-05-04T09:00:00Z,false,2026-05-04T09:00:00Z,cat@acme.example,Cat,C,Support
a4,Dancing,,0,0,2026-05-04T09:00:00Z,false,2026-05-04T09:00:00Z,dan@acme.example,Dan,D,Support
a5,Clicked Link,,0,0,2026-05-04T09:00:00Z,false,2026-05-04T09:00:00Z,nobody,No,Body,Support
`

const gophishCampaignJSON = `{"id":7,"name":"Spring parcel","launch_date":"2026-05-04T08:59:00Z","results":[
 {"id":"x","email":"ann@acme.example","position":"Accounts","status":"Clicked Link","send_date":"2026-05-04T09:00:00Z","reported":true},
 {"id":"y","email":"ben@acme.example","position":"Support","status":"Email Sent","send_date":"2026-05-04T09:00:00Z","reported":false}],
 "timeline":[{"email":"","time":"2026-05-04T08:59:00Z","message":"Campaign Created","details":""},
 {"email":"ann@acme.example","time":"2026-05-04T09:02:00Z","message":"Email Opened","details":""},
 {"email":"ann@acme.example","time":"2026-05-04T09:03:00Z","message":"Clicked Link","details":""},
 {"email":"ann@acme.example","time":"2026-05-04T09:30:00Z","message":"Email Reported","details":""}]}`

func TestFormats(t *testing.T) {
	ann, ben, cat := Pseudonym("acme", "ann@acme.example"), Pseudonym("acme", "ben@acme.example"), Pseudonym("acme", "cat@acme.example")
	sent := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	item := func(kind, who string, line int64, at time.Time, file string, v map[string]any) evidence.Item {
		return evidence.Item{Tenant: "acme", Kind: kind, Subject: who, At: at, From: evidence.Origin{File: file, Line: line}, Values: v}
	}
	tests := []struct {
		name, file, content, format string
		want                        []evidence.Item
		bad                         []string
	}{
		{"GoPhish's results", "acme/spring.csv", gophishResults, "phishing-simulation", []evidence.Item{
			item(KindSimulationResult, ann, 2, sent, "acme/spring.csv", map[string]any{"campaign": "spring", "team": "Accounts", "sent_at": sent, "delivered": true, "opened": true, "clicked": true, "entered": true, "reported": false}),
			item(KindSimulationResult, ben, 3, sent, "acme/spring.csv", map[string]any{"campaign": "spring", "team": "Support", "sent_at": sent, "delivered": true, "opened": false, "clicked": false, "entered": false, "reported": true}),
			item(KindSimulationResult, cat, 4, sent, "acme/spring.csv", map[string]any{"campaign": "spring", "team": "Support", "sent_at": sent, "delivered": false, "opened": false, "clicked": false, "entered": false, "reported": false}),
		}, []string{"5: a status that GoPhish has not", "6: no address of a person in the column email, e-mail, mail …"}},
		{"GoPhish's API", "c.json", gophishCampaignJSON, "gophish-campaign", []evidence.Item{
			item(KindSimulationResult, ann, 1, sent, "c.json", map[string]any{"campaign": "Spring parcel", "team": "Accounts", "sent_at": sent, "delivered": true, "opened": true, "clicked": true, "entered": false, "reported": true, "report_minutes": 30.0}),
			item(KindSimulationResult, ben, 1, sent, "c.json", map[string]any{"campaign": "Spring parcel", "team": "Support", "sent_at": sent, "delivered": true, "opened": false, "clicked": false, "entered": false, "reported": false}),
		}, nil},
		{"GoPhish's events", "events.csv", "campaign_id,email,time,message,details\n7,,2026-05-04T08:59:00Z,Campaign Created,\n7,ann@acme.example,2026-05-04T09:00:00Z,Email Sent,\n7,ann@acme.example,2026-05-04T09:10:00Z,Submitted Data,{}\n7,ann@acme.example,yesterday,Email Reported,\n", "gophish-events", []evidence.Item{
			item(KindSimulationResult, ann, 3, sent, "events.csv", map[string]any{"campaign": "events 7", "sent_at": sent, "delivered": true, "opened": true, "clicked": true, "entered": true, "reported": false}),
		}, []string{"5: no address or no time of an event"}},
		{"another simulator, with semicolons", "sim.csv", "Email;Department;Campaign;Delivered At;Clicked At;Reported At\nann@acme.example;Accounts;Q2;04.05.2026 09:00;;04.05.2026 09:06\nben@acme.example;Support;Q2;04.05.2026 09:00;04.05.2026 09:02;\ncat@acme.example;Support;Q2;;perhaps;\n", "phishing-simulation", []evidence.Item{
			item(KindSimulationResult, ann, 2, sent, "sim.csv", map[string]any{"campaign": "Q2", "team": "Accounts", "sent_at": sent, "delivered": true, "clicked": false, "reported": true, "report_minutes": 6.0}),
			item(KindSimulationResult, ben, 3, sent, "sim.csv", map[string]any{"campaign": "Q2", "team": "Support", "sent_at": sent, "delivered": true, "clicked": true, "reported": false}),
		}, []string{"4: the cell for clicks does not say whether the link was clicked"}},
		{"courses", "lms.csv", "E-Mail,Course,Status,Completed At,Due\nann@acme.example,Phishing,Completed,2026-03-01,2026-04-01\nben@acme.example,Phishing,In progress,,2026-04-01\ncat@acme.example,Phishing,,in spring,\n", "training-completions", []evidence.Item{
			item(KindCompletion, ann, 2, written, "lms.csv", map[string]any{"course": "Phishing", "completed": true, "completed_at": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "due": time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}),
			item(KindCompletion, ben, 3, written, "lms.csv", map[string]any{"course": "Phishing", "completed": false, "due": time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}),
		}, []string{"4: what stands for the day of completion is no date; write it as 2026-05-31"}},
		{"a roster in Windows-1252", "staff.csv", "UPN;Abteilung;Austritt\nann@acme.example;K\xfcche;2026-01-31\n", "training-roster", []evidence.Item{
			item(KindPerson, ann, 2, written, "staff.csv", map[string]any{"team": "Küche", "left": time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}),
		}, nil},
		{"what users reported", "reports.jsonl", `{"tenant":"acme","mailbox":"phish@acme.example","time":"2026-05-04T09:00:00Z","reporter":"Ann@acme.example","verdict":{"verdict":"phish","score":0.9},"thanked":true}` + "\n{\"reporter\":\"x\"}\nnot JSON\n", "mail-reports", []evidence.Item{
			item(KindReport, ann, 1, sent, "reports.jsonl", map[string]any{"verdict": "phish", "thanked": true}),
		}, []string{"2: a report without time, reporter or verdict", "3: no report: broken JSON at byte 2"}},
		{"accounts are no roster", "users.csv", "userPrincipalName,department,accountEnabled\na@acme.example,x,true\n", "", nil, nil},
		{"something else", "x.csv", "host,product\na,b\n", "", nil, nil},
		{"nothing", "x", "", "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			format, items, bad := read(t, tt.file, tt.content)
			if format != tt.format {
				t.Fatalf("read as %q, want %q", format, tt.format)
			}
			if d := cmp.Diff(tt.want, items); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.bad, bad); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestNoNameLeaves looks for the words of the files in everything that is made of them.
func TestNoNameLeaves(t *testing.T) {
	var all []evidence.Item
	for name, content := range map[string]string{"spring.csv": gophishResults, "c.json": gophishCampaignJSON} {
		_, items, _ := read(t, name, content)
		if len(items) == 0 {
			t.Fatalf("%s: nothing was read", name)
		}
		all = append(all, items...)
	}
	all = append(all, Summarise("acme", all, written)...)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"ann@", "ben@", "acme.example", "first_name", "Dan"} {
		if strings.Contains(strings.ToLower(string(text)), strings.ToLower(word)) {
			t.Errorf("a fact says %q: %s", word, text)
		}
	}
	if Pseudonym("acme", "ann@acme.example") == Pseudonym("other", "ann@acme.example") {
		t.Error("a person can be followed from one tenant to another")
	}
}

func TestGophishThatIsTorn(t *testing.T) {
	torn := gophishCampaignJSON[:len(gophishCampaignJSON)/2]
	if !gophishJSON.Recognise("c.json", []byte(torn)) {
		t.Fatal("not recognised")
	}
	err := gophishJSON.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "c.json", Reader: strings.NewReader(torn)}, evidence.Sink{
		Item: func(evidence.Item) error { t.Error("a fact of a torn file"); return nil }, Bad: func(int64, string) {},
	})
	if err == nil || !strings.Contains(err.Error(), "reading c.json as a campaign of GoPhish") {
		t.Errorf("error %v", err)
	}
}

func TestAFullSinkEndsTheReading(t *testing.T) {
	full := errors.New("full")
	for name, content := range map[string]string{"spring.csv": gophishResults, "c.json": gophishCampaignJSON} {
		for _, f := range Formats() {
			if !f.Recognise(name, []byte(content)) {
				continue
			}
			err := f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: name, Reader: strings.NewReader(content)}, evidence.Sink{
				Item: func(evidence.Item) error { return full }, Bad: func(int64, string) {},
			})
			if !errors.Is(err, full) {
				t.Errorf("%s: %v", name, err)
			}
			break
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{gophishResults, gophishCampaignJSON, "campaign_id,email,time,message\n1,a@b,2026-05-04T09:00:00Z,Email Sent\n", "mail;team\na@b;c\n",
		"mail,course,status\na@b,c,done\n", `{"mailbox":"","thanked":true,"verdict":{},"reporter":"a@b","time":"2026-05-04T09:00:00Z"}`, "[" + gophishCampaignJSON + ",{}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range Formats() {
			if !format.Recognise("f", data[:min(len(data), 64<<10)]) {
				continue
			}
			var items []evidence.Item
			_ = format.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "f", At: written, Reader: strings.NewReader(string(data))}, evidence.Sink{
				Item: func(i evidence.Item) error { items = append(items, i); return nil }, Bad: func(int64, string) {},
			})
			for _, i := range items {
				if i.Tenant != "acme" || !strings.HasPrefix(i.Subject, "person ") {
					t.Fatalf("a fact of %q about %q", i.Tenant, i.Subject)
				}
			}
			Summarise("acme", items, written)
		}
	})
}

func BenchmarkSimulationTable(b *testing.B) {
	var s strings.Builder
	s.WriteString("Email,Department,Campaign,Delivered At,Clicked At,Reported At\n")
	for i := range 20_000 {
		fmt.Fprintf(&s, "p%d@acme.example,Team %d,Q2,2026-05-04 09:00:00,,\n", i, i%40)
	}
	text := s.String()
	var rows int
	b.ReportAllocs()
	for b.Loop() {
		err := simulationTable.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "f", Reader: strings.NewReader(text)}, evidence.Sink{
			Item: func(evidence.Item) error { rows++; return nil }, Bad: func(int64, string) { b.Fatal("bad row") },
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// TestNoNameLeavesByBrokenRows has rows whose cells are shifted, JSON of the wrong form and addresses where others
// belong: neither a fact nor what is said of a row holds anything of them.
func TestNoNameLeavesByBrokenRows(t *testing.T) {
	const secret = "erika.mustermann@acme.example"
	good := `{"email":"b@acme.example","status":"Email Sent","send_date":"2026-05-04T09:00:00Z"}`
	for name, content := range map[string]string{
		"results.csv":   "id,status,send_date,reported,email,position\n1," + secret + ",2026-05-04T09:00:00Z,false,b@acme.example,x\n2,Email Sent,2026-05-04T09:00:00Z,false,Erika Mustermann,x\n",
		"clicks.csv":    "Email,Campaign,Clicked\nb@acme.example,Q2," + secret + "\nb@acme.example," + secret + ",no\n" + secret + ",Q2\n",
		"courses.csv":   "Email,Course,Status,Completed At\nb@acme.example,x,," + secret + "\nb@acme.example,x,Erika Mustermann,\nb@acme.example," + secret + ",done,\nb@acme.example,x,done,Erika Mustermann\n",
		"roster.csv":    "Email,Department,Start Date\nb@acme.example," + secret + "," + secret + "\nb@acme.example,x,y," + secret + "\n\"" + secret + ",x\n",
		"events.csv":    "campaign_id,email,time,message\n7," + secret + "," + secret + ",Email Sent\n7,b@acme.example,2026-05-04T09:00:00Z," + secret + "\n",
		"campaign.json": `{"id":1,"name":"x","launch_date":"` + secret + `","results":[{"email":"b@acme.example","status":"` + secret + `","send_date":"2026-05-04T09:00:00Z"},{"email":"` + secret + `","status":"Email Sent","send_date":"` + secret + `"},{"email":{"` + secret + `":1},"status":"x"},` + good + `],"timeline":[{"email":"x","time":"` + secret + `"}]}`,
		"list.json":     `[{"id":1,"name":["` + secret + `"],"results":[` + good + `]},{"id":1,"name":"` + secret + `","results":[` + good + `]}]`,
		"torn.json":     `{"id":1,"name":"x","results":[` + good + `,{"email":"` + secret,
		"reports.jsonl": `{"mailbox":"m","time":"2026-05-04T09:00:00Z","reporter":"b@acme.example","verdict":{"verdict":"phish"},"thanked":true}` + "\n" + `{"mailbox":"m","time":"` + secret + `","reporter":"b@x"}` + "\n" + secret + "\n" + `{"mailbox":"m","time":"2026-05-04T09:00:00Z","reporter":"b@acme.example","verdict":{"verdict":"` + secret + `"},"thanked":true}` + "\n",
	} {
		var said []string
		var items []evidence.Item
		known := false
		for _, f := range Formats() {
			if !f.Recognise(name, []byte(content)) {
				continue
			}
			known = true
			err := f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: name, At: written, Reader: strings.NewReader(content)}, evidence.Sink{
				Item: func(i evidence.Item) error { items = append(items, i); return nil },
				Bad:  func(_ int64, reason string) { said = append(said, reason) },
			})
			if err != nil {
				said = append(said, err.Error())
			}
			break
		}
		if !known || len(said) == 0 {
			t.Errorf("%s: known %t, and nothing is said of its broken rows", name, known)
		}
		text, err := json.Marshal([]any{items, Summarise("acme", items, written), said})
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"erika", "mustermann"} {
			if strings.Contains(strings.ToLower(string(text)), word) {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
}

// TestGophishTellsOfOneCampaignInThreeWays has the two files that its pages export and what its API gives, of the same
// campaign: they are put together.
func TestGophishTellsOfOneCampaignInThreeWays(t *testing.T) {
	var all []evidence.Item
	for name, content := range map[string]string{
		"acme/Spring parcel - Results.csv":    "id,status,ip,latitude,longitude,send_date,reported,modified_date,email,first_name,last_name,position\na1,Clicked Link,10.0.0.1,0,'-12.5,2026-05-04T11:00:00+02:00,false,2026-05-04T09:12:00Z,ann@acme.example,Ann,A,Accounts\na2,Scheduled,,0,0,0001-01-01T00:00:00Z,false,0001-01-01T00:00:00Z,'+zoe@acme.example,Z,Z,\n",
		"acme/Spring parcel - Events (1).csv": "campaign_id,email,time,message,details\n7,,2026-05-04T08:59:00Z,Campaign Created,\n7,Ann@acme.example,2026-05-04T09:00:00Z,Email Sent,\n7,ann@acme.example,2026-05-04T09:30:00Z,Email Reported,\"{\"\"payload\"\":{}}\"\n",
		"acme/c.json":                         `{"id":7,"name":"Spring parcel","results":[{"email":"ann@acme.example","status":"Clicked Link","send_date":"2026-05-04T09:00:00.123456789Z","reported":"true"},{"email":"ben@acme.example","status":"Email Sent","send_date":"2026-05-04T09:00:00Z","reported":"perhaps"}]}`,
	} {
		_, items, _ := read(t, name, content)
		if len(items) == 0 {
			t.Fatalf("%s: nothing was read", name)
		}
		all = append(all, items...)
	}
	got := sumOf(t, Summarise("acme", all, written), KindSimulations, Everybody)
	if got["campaigns"] != int64(1) || got["delivered"] != int64(1) || got["clicked"] != int64(1) || got["reported"] != int64(1) || got["first_report_minutes"] != 30.0 {
		t.Errorf("%v", got)
	}
}
