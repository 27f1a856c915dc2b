package scenario

import (
	"fmt"
	"time"
)

const (
	defender       = "Microsoft-Windows-Windows Defender/Operational"
	defenderSource = "Microsoft-Windows-Windows Defender"
	powershellExe  = `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`
)

// detected writes Defender's 1116 and 1117: malware found, and put away.
func (s *scribe) detected(o *org, h *host, t time.Time, threat, path, program string) {
	id := fmt.Sprintf("{%s}", s.n.guid())
	for i, event := range []int{1116, 1117} {
		action := []string{"Not Applicable", "Quarantine"}[i]
		s.win(o, h, t.Add(time.Duration(i)*s.n.span(time.Second, 9*time.Second)), defender, defenderSource, event, 0, "Product Name", "Microsoft Defender Antivirus", "Detection ID", id,
			"Threat Name", threat, "Severity Name", "Severe", "Category Name", "Trojan", "Path", "file:_"+path, "Process Name", program, "Detection User", system32, "Action Name", action,
			"Error Code", "0x00000000", "EventType", "WARNING")
	}
}

// off writes 5001: protection in real time was turned off.
func (s *scribe) off(o *org, h *host, t time.Time) {
	s.win(o, h, t, defender, defenderSource, 5001, 0, "Product Name", "Microsoft Defender Antivirus", "Product Version", "4.18.25110.5", "EventType", "INFO")
}

// threats are the names that a scanner gives to what it merely dislikes, honest or not.
var threats = []string{"Trojan:Win32/Wacatac.B!ml", "Behavior:Win32/Persistence.A!ml", "Trojan:Script/Wacatac.H!ml"}

// disarms are calls that turn Defender off: whoever puts another product in its place uses them too.
var disarms = []string{
	`powershell.exe Set-MpPreference -DisableRealtimeMonitoring $true`,
	`powershell.exe Set-MpPreference -DisableRealtimeMonitoring $true -DisableIntrusionPreventionSystem $true -DisableIOAVProtection $true -DisableScriptScanning $true`,
	`powershell.exe Set-MpPreference -MAPSReporting Disabled -DisableRealtimeMonitoring $true -SubmitSamplesConsent NeverSend`,
}

func disarm(cmd string) process {
	return process{image: powershellExe, original: "PowerShell.EXE", cmd: cmd}
}
