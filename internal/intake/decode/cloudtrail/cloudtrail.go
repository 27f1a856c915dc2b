// Package cloudtrail decodes AWS CloudTrail as it comes and as people export it: the files of records that a trail
// delivers ({"Records":[…]}), single records as shippers pass them on, events of EventBridge, the answer of
// `aws cloudtrail lookup-events` (the record is a string in CloudTrailEvent), events of CloudWatch Logs (filter-log-events,
// exports, subscriptions: a string in message), rows of CloudTrail Lake with the whole record (a string in eventJson),
// insights, the CSV that Athena and CloudTrail Lake give for a query (nested columns written {type=IAMUser, arn=…}
// there), and the CSV that the console's event history downloads. Digest files, which prove log files and hold no events, are refused by name.
//
// Out come events of layer cloud: HomeTenant is the caller's account, ResourceTenant the account that logged it;
// where they differ, CrossTenant is crossAccount and the join key aws-shared-event names the act in both accounts'
// logs. The name of an assumed role is the user's name, its session stands in the UID. The external id of a role
// is kept as requestParameters.externalId.
//
// Sources: the CloudTrail user guide, "CloudTrail record contents", "userIdentity element", "digest file
// structure" and "CloudTrail Lake supported schemas", CloudWatch Logs' reference of FilteredLogEvent and the Athena table definition in the Athena user guide. No download of the console's event history
// could be had to verify: its columns are matched by the console's names for them, in any order.
package cloudtrail

import "github.com/breakwater-project/breakwater/internal/intake/decode"

// Objects returns the formats of this package. No record matches two of them.
func Objects() []decode.Object {
	return []decode.Object{
		{Name: "aws/cloudtrail", Match: isRecord, Decode: record},
		{Name: "aws/cloudtrail", Match: isLookup, Decode: lookup},
		{Name: "aws/cloudtrail", Match: isBridged, Decode: bridged},
		{Name: "aws/cloudtrail", Match: isLogged, Decode: logged},
		{Name: "aws/cloudtrail", Match: isLake, Decode: lake},
		{Name: "aws/cloudtrail-digest", Match: isDigest, Decode: digest},
	}
}

// Streams returns the CSV exports of this package.
func Streams() []decode.Stream {
	row := []decode.Object{{Name: "aws/cloudtrail", Match: func(*decode.JSON) bool { return true }, Decode: record}}
	return []decode.Stream{
		(&decode.Table{Name: "aws/athena-csv", Knows: isQuery, Rename: queryColumn, Fit: fitQuery, Objects: row}).Stream(),
		(&decode.Table{Name: "aws/history-csv", Knows: isHistory, Rename: historyColumn, Objects: row}).Stream(),
	}
}
