package windows

import (
	"fmt"
	"testing"
)

const (
	clientExe  = `C:\\Program Files (x86)\\ScreenConnect Client (d2f80b6a91c3e745)\\ScreenConnect.ClientService.exe`
	clientArgs = `\"` + clientExe + `\" \"?e=Access&y=Guest&h=hilfe.example.net&p=443&s=C37B9E2E-34f5-4040-f69b-17a5aa9765a3&k=BgIAAAC&c=Rennweg%20Hotels\"`
)

func TestRemoteToolsOnTheHost(t *testing.T) {
	provider := `"SourceName":"ScreenConnect Client (d2f80b6a91c3e745)",`
	for name, c := range map[string]struct {
		channel string
		id      int
		fields  string
		want    string // tool act instance session relay operator; "" for none
	}{
		"connected, role and name": {"Application", 100, provider + `"Message":"Cloud Account Administrator (Hanna Lemke) Connected"`, "screenconnect connect d2f80b6a91c3e745   Hanna Lemke"},
		"connected, long message":  {"Application", 100, provider + `"Message":"Hanna Lemke Connected\r\n\r\nVersion: 24.2"`, "screenconnect connect d2f80b6a91c3e745   Hanna Lemke"},
		"disconnected":             {"Application", 101, provider + `"Message":"Hanna Lemke Disconnected"`, "screenconnect disconnect d2f80b6a91c3e745   Hanna Lemke"},
		"command, length only":     {"Application", 200, provider + `"Message":"Executed command of length: 1184"`, "screenconnect command d2f80b6a91c3e745   "},
		"files":                    {"Application", 201, provider + `"Message":"Transferred files with action 'Transfer': a.exe"`, "screenconnect file d2f80b6a91c3e745   "},
		"old version, one id":      {"Application", 1, `"SourceName":"ScreenConnect","Message":"Hanna Lemke Connected"`, "screenconnect connect    Hanna Lemke"},
		"another provider's 100":   {"Application", 100, `"SourceName":"Setup","Message":"x Connected"`, ""},
		"nothing of a session":     {"Application", 0, provider + `"Message":"Service started"`, ""},
		"service installed":        {"System", 7045, `"ServiceName":"ScreenConnect Client (d2f80b6a91c3e745)","ImagePath":"` + clientArgs + `"`, "screenconnect install d2f80b6a91c3e745 c37b9e2e-34f5-4040-f69b-17a5aa9765a3 hilfe.example.net "},
		"service of another name":  {"System", 7045, `"ServiceName":"Windows Update Helper","ImagePath":"` + clientArgs + `"`, "screenconnect install d2f80b6a91c3e745 c37b9e2e-34f5-4040-f69b-17a5aa9765a3 hilfe.example.net "},
		"audited installation":     {"Security", 4697, `"ServiceName":"AnyDesk Service","ServiceFileName":"\"C:\\Program Files (x86)\\AnyDesk\\AnyDesk.exe\" --service"`, "anydesk install    "},
		"an ordinary service":      {"System", 7045, `"ServiceName":"NdisCap","ImagePath":"system32\\drivers\\ndiscap.sys"`, ""},
		"command through agent":    {sysmonChannel, 1, `"Image":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd /c run.cmd","ParentImage":"` + clientExe + `","ParentCommandLine":"` + clientArgs + `"`, "screenconnect command d2f80b6a91c3e745 c37b9e2e-34f5-4040-f69b-17a5aa9765a3 hilfe.example.net "},
		"audited command":          {"Security", 4688, `"NewProcessName":"C:\\Windows\\System32\\cmd.exe","ParentProcessName":"` + clientExe + `"`, "screenconnect command d2f80b6a91c3e745   "},
		"agent starts its own":     {sysmonChannel, 1, `"Image":"C:\\Program Files (x86)\\ScreenConnect Client (d2f80b6a91c3e745)\\ScreenConnect.WindowsClient.exe","ParentImage":"` + clientExe + `"`, ""},
		"agent starts conhost":     {sysmonChannel, 1, `"Image":"C:\\Windows\\System32\\conhost.exe","ParentImage":"` + clientExe + `"`, ""},
		"portable tool is started": {sysmonChannel, 1, `"Image":"C:\\Users\\x\\Downloads\\AnyDesk.exe","ParentImage":"C:\\Windows\\explorer.exe"`, "anydesk run    "},
		"tool brought by a tool":   {sysmonChannel, 1, `"Image":"C:\\Temp\\AnyDesk.exe","ParentImage":"` + clientExe + `","ParentCommandLine":"` + clientArgs + `"`, "screenconnect command d2f80b6a91c3e745 c37b9e2e-34f5-4040-f69b-17a5aa9765a3 hilfe.example.net "},
		"Atera runs a command":     {sysmonChannel, 1, `"Image":"C:\\Windows\\System32\\cmd.exe","ParentImage":"C:\\Program Files\\ATERA Networks\\AteraAgent\\Packages\\AgentPackageRunCommandInteractive\\AgentPackageRunCommandInteractive.exe"`, "atera command    "},
		"incoming TeamViewer":      {sysmonChannel, 1, `"Image":"C:\\Program Files\\TeamViewer\\TeamViewer_Desktop.exe","CommandLine":"TeamViewer_Desktop.exe --IPCport 5939 --Module 1","ParentImage":"C:\\Program Files\\TeamViewer\\TeamViewer_Service.exe"`, "teamviewer connect    "},
		"Splashtop session":        {"Splashtop-Splashtop Streamer-Remote Session/Operational", 1000, ``, "splashtop connect    "},
	} {
		t.Run(name, func(t *testing.T) {
			e := one(t, flat(c.channel, c.id, c.fields))
			got := ""
			if r := e.Remote; r != nil {
				got = fmt.Sprintf("%s %s %s %s %s %s", r.Tool, r.Act, r.Instance, r.SessionID, r.Relay, r.Operator)
				if r.Target != "ws7" {
					t.Errorf("target %q", r.Target)
				}
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	e := one(t, flat("System", 7045, `"ServiceName":"ScreenConnect Client (d2f80b6a91c3e745)","ImagePath":"`+clientArgs+`"`))
	if fmt.Sprint(e.JoinKeys) != "[{rmm-instance d2f80b6a91c3e745} {rmm-session c37b9e2e-34f5-4040-f69b-17a5aa9765a3}]" || e.Remote.Company != "Rennweg Hotels" {
		t.Errorf("join keys %v, company %q", e.JoinKeys, e.Remote.Company)
	}
}
