package cloudtrail

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"CloudTrail across accounts", `{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111111111111:assumed-role/PartnerOps/adm","accountId":"111111111111","accessKeyId":"ASIAX","sessionContext":{"sessionIssuer":{"type":"Role","userName":"PartnerOps"},"attributes":{"mfaAuthenticated":"true"}}},"eventTime":"2026-09-21T10:10:20Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.60","userAgent":"aws-cli","requestParameters":{"roleArn":"arn:aws:iam::222222222222:role/Ops","externalId":"x"},"errorCode":"AccessDenied","eventID":"a-1","recipientAccountId":"222222222222","sharedEventID":"sh-1"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 3002 account switch failure id=a-1 user=partnerops src=203.0.113.60 home=111111111111 resource=222222222222 cross=crossAccount app=  0 mfa=multiFactorAuthentication sp=false int=false err=AccessDenied keys=[{aws-shared-event sh-1}]"},
	{"CloudTrail by a service", `{"eventVersion":"1.08","userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"},"eventTime":"2026-09-21T10:10:20Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","sourceIPAddress":"ec2.amazonaws.com","eventID":"a-2","recipientAccountId":"222222222222"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 3002 account switch success id=a-2 user=ec2.amazonaws.com src=ec2.amazonaws.com home= resource=222222222222 cross= app=  0 mfa= sp=true int=false err= keys=[]"},
	{"CloudTrail console logon", `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::222222222222:user/Pedro","accountId":"222222222222","userName":"Pedro"},"eventTime":"2026-09-21T10:10:20Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"203.0.113.60","responseElements":{"ConsoleLogin":"Failure"},"additionalEventData":{"MFAUsed":"No"},"eventID":"a-3","recipientAccountId":"222222222222"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 3002 logon failure id=a-3 user=pedro src=203.0.113.60 home=222222222222 resource=222222222222 cross= app=  0 mfa=singleFactorAuthentication sp=false int=true err= keys=[]"},
	{"insight", `{"eventVersion":"1.07","eventTime":"2026-09-21T10:10:20Z","awsRegion":"eu-central-1","eventID":"i-1","eventType":"AwsCloudTrailInsight","recipientAccountId":"222222222222","sharedEventID":"sh-2","insightDetails":{"state":"Start","eventSource":"iam.amazonaws.com","eventName":"CreateUser","insightType":"ApiCallRateInsight"},"eventCategory":"Insight"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 6003 create success id=i-1 user= src= home= resource=222222222222 cross= app=  0 mfa= sp=false int=false err= keys=[{aws-shared-event sh-2}]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"missing_time":       {`{"eventSource":"s","eventName":"n","awsRegion":"r"}`, "no time"},
		"digest_file":        {`{"awsAccountId":"222222222222","digestStartTime":"2026-09-21T10:10:20Z","digestEndTime":"2026-09-21T11:10:20Z","digestS3Bucket":"b","digestS3Object":"o","logFiles":[{"s3Object":"x"}]}`, "digest file"},
		"lookup_is_broken":   {`{"EventId":"a","EventName":"n","CloudTrailEvent":"{\"eventTime\":"}`, "CloudTrailEvent: not JSON"},
		"lookup_is_too_deep": {`{"EventId":"a","CloudTrailEvent":"` + strings.Repeat("[", 50) + `"}`, "deeper"},
	})
}

const athenaCSV = `"eventtime","useridentity","eventsource","eventname","awsregion","sourceipaddress","useragent","requestparameters","errorcode"
"2026-09-21T10:10:20Z","{type=AssumedRole, principalid=AROAX:adm, arn=arn:aws:sts::222222222222:assumed-role/PartnerOps/adm, accountid=222222222222, invokedby=null, accesskeyid=ASIAX, username=null, sessioncontext={attributes={mfaauthenticated=true, creationdate=2026-09-21T10:00:00Z}, sessionissuer={type=Role, principalid=AROAX, arn=arn:aws:iam::222222222222:role/PartnerOps, accountid=222222222222, username=PartnerOps}}}","ec2.amazonaws.com","RunInstances","eu-central-1","203.0.113.60","aws-cli/2, with a comma","{""imageId"":""ami-1"",""tags"":[{""key"":""a""}]}",
"2026-09-21T10:10:21Z","{type=Root, principalid=222222222222, arn=arn:aws:iam::222222222222:root, accountid=222222222222, invokedby=null, accesskeyid=, username=null, sessioncontext=null}","iam.amazonaws.com","CreateUser","us-east-1","203.0.113.61","console","{""userName"":""Eve""}","AccessDenied"
"2026-09-21T10:10:22Z","{type=IAMUser, principalid
`

const historyCSV = "Event name,Event time,User name,Event source,Resource type,Resource name,AWS access key,AWS region,Error code,Source IP address,Event ID\n" +
	"DeleteTrail,2026-09-21T10:10:20Z,pedro,cloudtrail.amazonaws.com,AWS::CloudTrail::Trail,main,AKIAX,eu-central-1,,203.0.113.60,a-9\n"

func TestExportsGiveTheirRecords(t *testing.T) {
	c := decodetest.File(t, Streams(), "x.csv", athenaCSV)
	if len(c.Events) != 2 || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], "quote") {
		t.Fatalf("%d events, bad %q; want the row that was cut short told and the others read", len(c.Events), c.Reasons)
	}
	want := "aws/cloudtrail 2026-09-21T10:10:20Z 6003 create success id= user=partnerops src=203.0.113.60 home=222222222222 resource= cross= app=  0 mfa=multiFactorAuthentication sp=false int=false err= keys=[]"
	if got := decodetest.CloudLine(c.Events[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for name, want := range map[string]string{"userIdentity.sessionContext.sessionIssuer.type": "Role", "requestParameters.imageId": "ami-1",
		"userAgent": "aws-cli/2, with a comma", "userIdentity.invokedBy": ""} {
		if got := c.Events[0].Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if e := c.Events[1]; e.Class != ocsf.ClassAccountChange || e.User.Name != "eve" || e.Actor.UID != "arn:aws:iam::222222222222:root" || e.Status != ocsf.StatusFailure {
		t.Errorf("user %v by %v: %s", e.User, e.Actor, decodetest.CloudLine(e))
	}
	c = decodetest.File(t, Streams(), "event_history.csv", historyCSV)
	if len(c.Events) != 1 || c.Events[0].User.Name != "pedro" || c.Events[0].SourceID != "a-9" || c.Events[0].Src.IP.String() != "203.0.113.60" {
		t.Errorf("bad %q: %v", c.Reasons, c.Events)
	}
}

func TestWrappingsOfTheRecordAreOpened(t *testing.T) {
	inner := records[0].Text
	quoted, err := json.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	c := decodetest.Read(t, Objects(), `{"Events":[{"EventId":"a-1","EventName":"AssumeRole","EventTime":"2026-09-21T12:10:20+02:00","Username":"x","CloudTrailEvent":`+string(quoted)+`}],"NextToken":"t"}`)
	if len(c.Events) != 1 || decodetest.CloudLine(c.Events[0]) != records[0].Want {
		t.Errorf("lookup-events: bad %q, %v", c.Reasons, c.Events)
	}
	e := decodetest.One(t, Objects(), `{"version":"0","id":"b","detail-type":"AWS API Call via CloudTrail","source":"aws.sts","account":"222222222222","time":"2026-09-21T10:10:20Z","detail":`+inner+`}`)
	if got := decodetest.CloudLine(e); got != records[0].Want {
		t.Errorf("EventBridge\ngot  %s\nwant %s", got, records[0].Want)
	}
	if e.Fields.Value("userIdentity.type") != "AssumedRole" || e.Fields.Value("detail-type") == "" {
		t.Errorf("fields %v", e.Fields)
	}
}

// Trails write to CloudWatch Logs too, and people export that.
func TestRecordsInStringsAreOpened(t *testing.T) {
	const want = "aws/cloudtrail 2026-09-21T10:10:20Z 6003 create success id=c-9 user=bob src=203.0.113.60 home=999988887777 resource=123456789012 cross=crossAccount app=  0 mfa= sp=false int=false err= keys=[]"
	inner := strconv.Quote(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"Bob","accountId":"999988887777"},"eventTime":"2026-09-21T10:10:20Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.60","eventID":"c-9","recipientAccountId":"123456789012"}`)
	for name, text := range map[string]string{
		"filter-log-events": `{"events":[{"logStreamName":"s","timestamp":1789985425000,"message":` + inner + `,"ingestionTime":1789985426000,"eventId":"7"}],"searchedLogStreams":[]}`,
		"a subscription":    `{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"CloudTrail","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"3","timestamp":1789985425000,"message":` + inner + `}]}`,
		"Lake":              `[{"eventJson":` + inner + `}]`,
	} {
		t.Run(name, func(t *testing.T) {
			e := decodetest.One(t, Objects(), text)
			if line := decodetest.CloudLine(e); line != want {
				t.Errorf("got  %s\nwant %s", line, want)
			}
		})
	}
	const broken = `{"id":"1","timestamp":1,"message":"{\"eventVersion\":1,\"eventSource\":1,\"awsRegion\":"}`
	if c := decodetest.Read(t, Objects(), broken); len(c.Events) != 0 || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], "message: not JSON") {
		t.Errorf("%d events, bad %q", len(c.Events), c.Reasons)
	}
	if c := decodetest.Read(t, Objects(), `{"id":"1","timestamp":1,"message":"{}"}`); len(c.Events) != 0 {
		t.Errorf("another message was taken for a record: %v", c.Events)
	}
}

// Spreadsheets put columns in another order, part cells by semicolons and begin with a mark.
func TestColumnsInAnyOrder(t *testing.T) {
	const history = "\xef\xbb\xbfUser name;Event time;Resources;Event source;Event name;AWS region;Source IP address;Event ID;AWS access key;Error code\n" +
		`Alice;2026-09-21T10:10:20Z;"[{""resourceName"":""eve""}]";iam.amazonaws.com;CreateUser;eu-central-1;203.0.113.60;c-8;AKIA1;` + "\n"
	c := decodetest.File(t, Streams(), "event_history.csv", history)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q", len(c.Events), c.Reasons)
	}
	if e := c.Events[0]; e.User.Name != "alice" || e.Src.IP.String() != "203.0.113.60" || e.SourceID != "c-8" || e.Cloud.CredentialID != "AKIA1" || e.Cloud.Operation != "CreateUser" {
		t.Errorf("%s", decodetest.CloudLine(e))
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{athenaCSV, historyCSV, `{"eventTime":"2026-09-21T10:10:20Z","eventSource":"s","eventName":"n","userIdentity":"root","sourceIPAddress":"\ud800"}`,
		"{\"eventTime\":\"2026-09-21T10:10:20Z\",\"eventSource\":\"s\",\"eventName\":\"\xff\xfe\",\"awsRegion\":\"r\"}",
		"eventtime,eventsource,eventname,useridentity\n2026-09-21T10:10:20Z,s,n,{a={b={c={,={}\n"}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), Streams(), seeds...)
}
