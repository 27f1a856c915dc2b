package netconfig

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func isAWS(_ string, head []byte) bool {
	head = bytes.TrimSpace(head)
	if !bytes.HasPrefix(head, []byte("{")) && !bytes.HasPrefix(head, []byte("[")) {
		return false
	}
	for _, key := range []string{`"SecurityGroups"`, `"IpPermissions"`, `"Reservations"`, `"SecurityGroupRules"`} {
		if bytes.Contains(head, []byte(key)) {
			return true
		}
	}
	return false
}

// aws reads what the EC2 API answers (DescribeSecurityGroups, DescribeInstances). Rules of a security group have no
// order: each lets in what it says.
type aws struct {
	s *source
	d *device
}

func parseAWS(s *source) (*device, error) {
	root, err := readJSON(s.data)
	if err != nil {
		return nil, fmt.Errorf("reading %s as JSON of AWS: %w", s.in.Name, err)
	}
	p := &aws{s: s, d: newDevice()}
	groups := root.get("SecurityGroups").items()
	reservations := root.get("Reservations").items()
	if root.kind == 'a' {
		for _, e := range root.list {
			groups = append(groups, e.get("SecurityGroups").items()...)
			reservations = append(reservations, e.get("Reservations").items()...)
			if e.get("IpPermissions") != nil {
				groups = append(groups, e)
			}
		}
	}
	if root.get("IpPermissions") != nil {
		groups = append(groups, root)
	}
	for i, g := range groups {
		if i%256 == 0 {
			if err := s.ctx.Err(); err != nil {
				return nil, err
			}
		}
		p.group(g)
	}
	for _, r := range reservations {
		for _, in := range r.get("Instances").items() {
			p.instance(in)
		}
	}
	return p.d, nil
}

func (p *aws) group(g *node) {
	id, name := g.get("GroupId").string(), g.get("GroupName").string()
	if id == "" {
		p.s.bad(g.line, "a security group without GroupId")
		return
	}
	if p.d.name == "" {
		p.d.name = g.get("VpcId").string()
	}
	pol := &policy{name: strings.TrimSpace(id + " " + name), stage: id, inbound: true}
	for _, perm := range g.get("IpPermissions").items() {
		svc, err := awsService(perm)
		if err != nil {
			p.s.bad(perm.line, "group %s: %v", id, err)
			continue
		}
		for _, list := range []struct{ key, cidr string }{{"IpRanges", "CidrIp"}, {"Ipv6Ranges", "CidrIpv6"}} {
			for _, r := range perm.get(list.key).items() {
				s, ok := addressSet(r.get(list.cidr).string())
				if !ok {
					p.s.bad(r.line, "group %s: the address %q can't be read", id, r.get(list.cidr).string())
					continue
				}
				p.rule(pol, r, svc, s, r.get("Description").string(), "")
			}
		}
		for _, r := range perm.get("PrefixListIds").items() {
			p.rule(pol, r, svc, nil, r.get("Description").string(), "prefix list "+r.get("PrefixListId").string())
		}
		// Another group, perhaps of another account: its members' addresses are not in the file.
		for _, r := range perm.get("UserIdGroupPairs").items() {
			p.rule(pol, r, svc, nil, r.get("Description").string(), "group "+r.get("GroupId").string())
			if user := r.get("UserId").string(); user != "" && user != g.get("OwnerId").string() && g.get("OwnerId") != nil {
				p.d.accounts[user] = r.line
			}
		}
	}
	p.d.policies = append(p.d.policies, pol)
}

func (p *aws) rule(pol *policy, n *node, svc set, src set, comment, unresolved string) {
	if !p.s.room(n.line) {
		return
	}
	r := &rule{line: n.line, enabled: true, action: accept, comment: comment, name: comment}
	if unresolved != "" {
		r.unresolved(unresolved)
		if strings.HasPrefix(unresolved, "group") {
			r.answers = true // machines of the cloud, none from outside
		}
	}
	r.boxes = byFamily([]box{everything.with(dimSrc, src).with(dimSvc, svc)})
	pol.rules = append(pol.rules, r)
}

// awsService reads IpProtocol with FromPort and ToPort; for ICMP these are type and code, -1 being any.
func awsService(n *node) (set, error) {
	name := n.get("IpProtocol").string()
	if name == "-1" {
		return full, nil
	}
	protocol, ok := protocolNumber(name)
	if !ok {
		return nil, fmt.Errorf("the protocol %q is not known", short(name))
	}
	from, hasFrom := n.get("FromPort").number()
	to, hasTo := n.get("ToPort").number()
	if !hasFrom || !hasTo || from < 0 {
		return protocolSet(protocol), nil
	}
	if protocol == protoICMP || protocol == protoICMPv6 {
		kind := uint64(min(from, 255))
		if to < 0 {
			return interval(protocol<<16|kind<<8, protocol<<16|kind<<8|255), nil
		}
		return one(protocol<<16 | kind<<8 | uint64(min(to, 255))), nil
	}
	if to < from || to > lastPort {
		return nil, fmt.Errorf("the ports %d to %d can't be", from, to)
	}
	return portSet(protocol, interval(uint64(from), uint64(to))), nil
}

// instance reads a machine with its addresses and groups.
func (p *aws) instance(n *node) {
	if !p.s.room(n.line) {
		return
	}
	in := instance{line: n.line, id: n.get("InstanceId").string()}
	for _, t := range n.get("Tags").items() {
		if t.get("Key").string() == "Name" && t.get("Value").string() != "" {
			in.id += " " + t.get("Value").string()
		}
	}
	if in.id == "" {
		p.s.bad(n.line, "an instance without InstanceId")
		return
	}
	if state := n.get("State", "Name").string(); state == "terminated" || state == "shutting-down" {
		return
	}
	add := func(list *[]string, s string) {
		if s != "" && !slices.Contains(*list, s) && len(*list) < 100 {
			*list = append(*list, s)
		}
	}
	add(&in.public, n.get("PublicIpAddress").string())
	add(&in.public, n.get("Ipv6Address").string())
	for _, g := range n.get("SecurityGroups").items() {
		add(&in.groups, g.get("GroupId").string())
	}
	for _, nic := range n.get("NetworkInterfaces").items() {
		add(&in.public, nic.get("Association", "PublicIp").string())
		for _, a := range nic.get("Ipv6Addresses").items() {
			add(&in.public, a.get("Ipv6Address").string())
		}
		for _, g := range nic.get("Groups").items() {
			add(&in.groups, g.get("GroupId").string())
		}
	}
	in.public = slices.DeleteFunc(in.public, func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err != nil || !public.contains(address(a.Unmap()))
	})
	p.d.instances = append(p.d.instances, in)
}

func isAzure(_ string, head []byte) bool {
	head = bytes.TrimSpace(head)
	return (bytes.HasPrefix(head, []byte("{")) || bytes.HasPrefix(head, []byte("["))) &&
		(bytes.Contains(head, []byte(`"securityRules"`)) || bytes.Contains(head, []byte(`"defaultSecurityRules"`)) || bytes.Contains(head, []byte(`Microsoft.Network/networkSecurityGroups`)))
}

// azure reads network security groups as az network nsg list gives them, or as the resources of ARM do, with their
// fields under properties. Rules are tried by priority, the lowest number first.
type azure struct {
	s *source
	d *device
}

func parseAzure(s *source) (*device, error) {
	root, err := readJSON(s.data)
	if err != nil {
		return nil, fmt.Errorf("reading %s as JSON of Azure: %w", s.in.Name, err)
	}
	p := &azure{s: s, d: newDevice()}
	list := root.items()
	if v := root.get("value"); v != nil {
		list = v.items()
	}
	if v := root.get("resources"); v != nil {
		list = v.items()
	}
	if list == nil {
		list = []*node{root}
	}
	for i, g := range list {
		if i%256 == 0 {
			if err := s.ctx.Err(); err != nil {
				return nil, err
			}
		}
		p.group(g)
	}
	return p.d, nil
}

// field looks into an object, and then under its properties.
func field(n *node, key string) *node {
	if v := n.get(key); v != nil {
		return v
	}
	return n.get("properties", key)
}

func (p *azure) group(g *node) {
	rules, own := field(g, "securityRules").items(), field(g, "defaultSecurityRules").items()
	if rules == nil && own == nil {
		return
	}
	name := g.get("name").string()
	for _, way := range []string{"Inbound", "Outbound"} {
		pol := &policy{name: name + " " + strings.ToLower(way), stage: name + " " + way, inbound: way == "Inbound", ordered: true}
		type numbered struct {
			priority int64
			rule     *rule
		}
		var found []numbered
		for _, n := range slices.Concat(rules, own) {
			if !strings.EqualFold(field(n, "direction").string(), way) || !p.s.room(n.line) {
				continue
			}
			r, err := p.rule(n)
			if err != nil {
				p.s.bad(n.line, "group %s, rule %s: %v", name, n.get("name").string(), err)
				continue
			}
			priority, _ := field(n, "priority").number()
			found = append(found, numbered{priority, r})
		}
		slices.SortStableFunc(found, func(a, b numbered) int { return int(a.priority - b.priority) })
		for _, f := range found {
			pol.rules = append(pol.rules, f.rule)
		}
		if len(own) == 0 && way == "Inbound" {
			pol.rules = append(pol.rules, &rule{name: "DenyAllInBound", enabled: true, action: deny, def: true, boxes: byFamily([]box{everything})})
		}
		p.d.policies = append(p.d.policies, pol)
	}
}

func (p *azure) rule(n *node) (*rule, error) {
	r := &rule{line: n.line, enabled: true, name: n.get("name").string(), comment: field(n, "description").string()}
	switch strings.ToLower(field(n, "access").string()) {
	case "allow":
		r.action = accept
	case "deny":
		r.action = deny
	default:
		return nil, fmt.Errorf("it does %q, which is not known", short(field(n, "access").string()))
	}
	b := everything
	for d, side := range map[int]string{dimSrc: "source", dimDst: "destination"} {
		s, err := p.addresses(r, n, side)
		if err != nil {
			return nil, err
		}
		b[d] = s
	}
	slices.Sort(r.under)
	sports, err := azurePorts(n, "source")
	if err != nil {
		return nil, err
	}
	dports, err := azurePorts(n, "destination")
	if err != nil {
		return nil, err
	}
	var svc set
	switch name := strings.ToLower(field(n, "protocol").string()); name {
	case "*", "any", "":
		svc = full
		if !dports.isFull() {
			svc = union(portSet(protoTCP, dports), portSet(protoUDP, dports))
		}
	default:
		protocol, ok := protocolNumber(name)
		if !ok {
			return nil, fmt.Errorf("the protocol %q is not known", short(name))
		}
		svc = portSet(protocol, dports)
	}
	r.boxes = byFamily(addServices([]box{b}, []service{{svc, sports}}))
	return r, nil
}

// addresses reads one side: prefixes, a service tag, or groups of machines of the cloud.
func (p *azure) addresses(r *rule, n *node, side string) (set, error) {
	list := slices.Concat(field(n, side+"AddressPrefix").strings(), field(n, side+"AddressPrefixes").strings())
	var out set
	for _, a := range list {
		switch strings.ToLower(a) {
		case "*", "any":
			return full, nil
		case "internet":
			out = union(out, public)
			continue
		case "virtualnetwork": // the network itself and what is joined to it
			out = union(out, local)
			continue
		case "azureloadbalancer":
			s, _ := addressSet("168.63.129.16")
			out = union(out, s)
			continue
		}
		s, ok := addressSet(a)
		switch {
		case ok:
			out = union(out, s)
		case strings.ContainsAny(a, "./:") && a[0] >= '0' && a[0] <= '9':
			return nil, fmt.Errorf("the address %q can't be read", short(a))
		default:
			r.unresolved("service tag " + a)
		}
	}
	if groups := field(n, side+"ApplicationSecurityGroups").items(); len(groups) > 0 {
		r.unresolved("application security group")
		if side == "destination" {
			return full, nil // whichever of its machines they are
		}
	}
	return out, nil
}

func azurePorts(n *node, side string) (set, error) {
	list := slices.Concat(field(n, side+"PortRange").strings(), field(n, side+"PortRanges").strings())
	if v, ok := field(n, side+"PortRange").number(); ok && len(list) == 0 {
		list = append(list, strconv.FormatInt(v, 10))
	}
	var out set
	for _, t := range list {
		if t == "*" {
			return full, nil
		}
		s, ok := portRange(t, "-")
		if !ok {
			return nil, fmt.Errorf("the ports %q can't be read", short(t))
		}
		out = union(out, s)
	}
	if len(list) == 0 {
		return full, nil
	}
	return out, nil
}
