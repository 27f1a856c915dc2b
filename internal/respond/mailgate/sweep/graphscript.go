package sweep

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// graphScript is what comes before the list. Its requests are those of WriteGraphSearch and WriteGraphMoves. The list is
// data in a quoted here-document, each line a JSON array: the shell never reads what an intruder wrote.
const graphScript = `#!/bin/sh
# Finds the listed copies in their mailboxes by Microsoft Graph, and moves each to the folder %[1]s.
# Run it as: TOKEN=... sh FILE   (an access token with Mail.ReadWrite for these mailboxes; needs curl and jq)
# It may be run again: what it moved is found where it lies now, and stays there. It ends with 1 where a request failed.
set -eu
: "${TOKEN:?an access token for Microsoft Graph}"
GRAPH=${GRAPH:-https://graph.microsoft.com}
header=$(mktemp)
trap 'rm -f "$header"' EXIT
printf 'header = "Authorization: Bearer %%s"\n' "$TOKEN" >"$header" # no other user of this machine sees it
post() {
  curl -sS --fail --retry 5 --max-time 120 -K "$header" -H 'Content-Type: application/json' --data-binary @- "$GRAPH/v1.0/\$batch"
}
found=0 moved=0 failed=0
while IFS= read -r copies; do
  answer=$(printf '%%s\n' "$copies" | jq -c '{requests: [to_entries[] | {id: (.key + 1 | tostring), method: "GET",
    url: ("/users/" + (.value.mailbox | @uri) + "/messages?$select=id,internetMessageId,parentFolderId&$filter=" +
      ("internetMessageId eq \u0027" + (.value.message_id | gsub("\u0027"; "\u0027\u0027")) + "\u0027" | @uri))}]}' | post) ||
    { failed=$((failed + $(printf '%%s\n' "$copies" | jq length))); continue; }
  failed=$((failed + $(printf '%%s\n' "$answer" | jq '[.responses[] | select(.status != 200)] | length')))
  moves=$(printf '%%s\n' "$answer" | jq -c --argjson copies "$copies" --arg folder '%[1]s' '
    [.responses[] | select(.status == 200) | $copies[(.id | tonumber) - 1] as $copy | .body.value[]?
      | select(.internetMessageId == $copy.message_id)
      | {method: "POST", url: ("/users/" + ($copy.mailbox | @uri) + "/messages/" + (.id | @uri) + "/move"),
         headers: {"Content-Type": "application/json"}, body: {destinationId: $folder}}] as $all
    | range(0; $all | length; 20) | {requests: [$all[.:. + 20] | to_entries[] | .value + {id: (.key + 1 | tostring)}]}')
  [ -n "$moves" ] || continue
  while IFS= read -r batch; do
    n=$(printf '%%s\n' "$batch" | jq '.requests | length')
    found=$((found + n))
    done=$(printf '%%s\n' "$batch" | post | jq '[.responses[] | select(.status == 201)] | length') || done=0
    moved=$((moved + done)) failed=$((failed + n - done))
  done <<MOVES
$moves
MOVES
done <<'COPIES'
`

const graphScriptEnd = `COPIES
echo "found $found, moved $moved, failed $failed"
[ "$failed" -eq 0 ]
`

// WriteGraphScript writes one file that finds copies in their mailboxes and moves them to a folder, by Microsoft Graph: a
// shell script that needs curl, jq and an access token in TOKEN. The folder is an id, or a well-known name as for
// WriteGraphMoves. Source: Microsoft Learn, "List messages" and "message: move".
func WriteGraphScript(w io.Writer, list []Listed, folder string) error {
	if folder == "" || strings.Trim(folder, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_=+") != "" {
		return fmt.Errorf("%q is no folder of Graph: use its id, or junkemail, deleteditems or recoverableitemsdeletions", clip(folder))
	}
	if _, err := fmt.Fprintf(w, graphScript, folder); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for len(list) > 0 {
		n := min(len(list), graphBatch)
		var rows []map[string]string
		for _, l := range list[:n] {
			rows = append(rows, map[string]string{"mailbox": l.Mailbox, "message_id": "<" + l.MessageID + ">"})
		}
		if err := enc.Encode(rows); err != nil {
			return err
		}
		list = list[n:]
	}
	_, err := io.WriteString(w, graphScriptEnd)
	return err
}
