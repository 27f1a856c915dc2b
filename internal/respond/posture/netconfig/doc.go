// Package netconfig reads the configurations of firewalls and clouds as evidence, and holds them against what is
// declared of partners and against what telemetry shows of their use.
//
// In: files of nftables, iptables, pfSense, FortiGate, Cisco ASA, PAN-OS, AWS, Azure and Microsoft Graph (Formats), and
// uses that the caller draws from telemetry (UseFacts). All firewalls become one model: ordered rules, each a union of
// boxes over source, destination, service, source port and interfaces. Sets are exact, negations and groups included;
// what boxes can't hold (an application, a user, a rate) is a condition, and what can't be resolved (a host's name, a
// country) is named. A rule with conditions never hides another; one with unresolved members is never called hidden;
// and where either keeps an answer from being known the value is absent. A hole is told only with a witness: a packet
// that comes from the internet and that no earlier rule denies. Nothing is asked of the DNS or any other program.
//
// Broken records are counted and told, and the rest is read; a file beyond its limits or of no readable form is an
// error. No input panics.
//
// Kinds of evidence and their values; text unless another type stands beside the name. Ports are whole numbers.
//
//   - network.config, one for each file: format, device (absent where the file has no name); counts, all int64: rules
//     (enabled), disabled, expired (of a schedule that is over), shadowed, any_any, management_open, ipv6_forgotten,
//     undecided (rules too tangled to tell whether they are shadowed), unknown_side (accepting rules of which it is
//     not known from where they let in), broken (records); ipv6_filtered bool (of files that are all that filters;
//     false: nothing decides on IPv6 that comes in).
//   - network.rule, one for each accepting rule on what comes in, each translation that is open to the internet, and
//     each shadowed rule: device, policy (chain, list, group), rule, action (accept, deny, forward), enabled bool,
//     default bool (what happens where no rule matches), source, destination, service, interface (absent: any), from
//     (internet or elsewhere; absent: not known), internet bool (open to the internet at large, more than a /8 of it),
//     any_any bool, management_open bool (by ports that machines are run by), management_ports list of int64 and
//     management_services list (absent: none), shadowed bool, shadowed_by list of lines and shadowed_by_text (absent:
//     not shadowed), shadow_contrary bool (what hides it does the opposite), ipv6_forgotten bool (open by IPv6 where
//     IPv4 is restricted), ipv6_services, conditions list, unresolved list, schedule (absent: always), comment. The
//     booleans internet, any_any, management_open and ipv6_forgotten are absent where they can't be told.
//   - network.access, one for each rule that lets a declared partner in (Partner and Trust are set), and each that
//     lets in strangers whom no trust explains: policy, rule, device, source (of the partner or strangers), declared
//     bool, management bool (by a port that machines are run by), any_time bool, schedule (of accounts of AWS whose
//     groups are let in, policy, rule, source and declared alone); of declared ones: ended bool
//     (absent where the time of the file is not known), valid_until time, wider_source bool, wider_destination bool
//     (absent: the trust declares none, or it can't be told), wider_service bool (absent: no right names a service),
//     beyond_source, beyond_destination, beyond_service (absent: nothing is).
//   - network.instance, one for each machine of an export of AWS: public bool, addresses list, groups list,
//     management_open bool (absent where its groups are not in the file), management_ports list, rule_lines list.
//   - network.conditional-access, one for each policy: policy, state, enabled bool, mfa bool, block bool, all_users
//     bool, all_applications bool, guests bool, service_providers bool, administrators bool, excluded int64 (users,
//     groups and roles), excluded_applications int64, legacy_clients bool, only_legacy bool, trusted_locations_exempt
//     bool.
//   - network.delegation, one for each delegation of administration: name, form (gdap or cross-tenant), active bool,
//     status, roles int64, strong_roles int64, strong_role_names list, global_administrator bool, auto_extend bool,
//     duration_days int64, ends time, ended bool, customer, partner_tenant, declared bool (absent where the export
//     does not tell the partner), trust_ended bool, service_provider bool, foreign_mfa_accepted bool,
//     automatic_consent bool.
//   - network.use, from UseFacts: declared bool, used bool, sessions int64, accounts int64, first_use and last_use
//     time (absent: never), watched_days int64, unused_days int64 (absent: never used, and not watched for 90 days),
//     valid bool, after_end, before_start int64, out_of_hours int64 (absent: any hour is declared), wider_source int64
//     (absent: no network is declared), wider_destination int64 (absent: none is declared), shared_accounts int64,
//     shared_account_names list; of each count above zero the first flows, as out_of_hours_flows and the like;
//     configuration list of the lines that let it in (absent: none is known). The counts are of sessions or flows.
//
// Rules of security groups have no order, so none of them is shadowed. Accepting rules whose sources are another group
// of the same cloud let in nobody from outside and are not told.
package netconfig
