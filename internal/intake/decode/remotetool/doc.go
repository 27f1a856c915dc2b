// Package remotetool knows remote-support products: by which process, service and host names they show
// (ByProcess, ByService, ByDomain), what a ScreenConnect command line says (ParseScreenConnectArgs), and how the
// products' own logs are read (Streams, Objects). Events carry ocsf.RemoteSession with the tool, its instance,
// the session, the operator and the host operated as far as the source tells, and the join keys rmm-session
// and rmm-instance, by which both sides of a session find each other.
//
// Bad records go to the sink with their reason; nothing stops a file but the end of the file.
package remotetool
