package awssim

import (
	"cmp"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// dialect is how a service spells the SDK's types on the wire. Its names are
// tried against botocore's model of the service in the tests.
type dialect struct {
	// item names the elements of a list in an answer.
	item string
	// flat lists stand in a request as NAME.N, others as NAME.member.N.
	flat bool
	// plain answers stand directly in <ACTIONResponse>, without a result inside.
	plain bool

	// codes are the service's own codes of errors that all services have.
	codes map[string]string

	// parameter names a field of a struct type in a request.
	parameter func(in reflect.Type, field string) string
	// element names a field of a struct type in an answer.
	element func(in reflect.Type, field string) string
}

// queryDialect is the AWS query protocol, which ELBv2, Auto Scaling and STS
// speak. The SDK's Go field names are its names, with one exception.
func queryDialect() *dialect {
	name := func(in reflect.Type, field string) string {
		if field == "References" && in == reflect.TypeFor[types.CpuPerformanceFactorRequest]() {
			return "Reference"
		}
		return field
	}
	return &dialect{item: "member", parameter: name, element: name}
}

// ec2Dialect is EC2's own query protocol. Parameters are in the singular where
// the field is a list, elements begin in lower case; the tables have what
// differs from the field's name beyond that, for the types of the operations
// that are simulated. A name before a dot is the struct that it holds for.
func ec2Dialect() *dialect {
	parameters := map[string]string{
		"Filters":              "Filter",
		"GroupIds":             "GroupId",
		"GroupNames":           "GroupName",
		"InstanceIds":          "InstanceId",
		"SecurityGroupRuleIds": "SecurityGroupRuleId",
		"SubnetIds":            "SubnetId",
		"TagSpecifications":    "TagSpecification",
		"Tags":                 "Tag",
		"UserIdGroupPairs":     "Groups",
		"Values":               "Value",
		"VpcIds":               "VpcId",
	}
	elements := map[string]string{
		"BlockDeviceMappings":                     "blockDeviceMapping",
		"ElasticGpuAssociations":                  "elasticGpuAssociationSet",
		"ElasticInferenceAcceleratorAssociations": "elasticInferenceAcceleratorAssociationSet",
		"Entries":                 "entrySet",
		"Groups":                  "groupSet",
		"Instance.PublicDnsName":  "dnsName",
		"Instance.SecurityGroups": "groupSet",
		"Instance.State":          "instanceState",
		"Instances":               "instancesSet",
		"InstanceSecondaryInterface.PrivateIpAddresses": "privateIpAddressSet",
		"Ipv4Prefixes":              "ipv4PrefixSet",
		"Ipv6Addresses":             "ipv6AddressesSet",
		"Ipv6Prefixes":              "ipv6PrefixSet",
		"Licenses":                  "licenseSet",
		"NetworkInterfaces":         "networkInterfaceSet",
		"PrivateIpAddresses":        "privateIpAddressesSet",
		"ProductCodeId":             "productCode",
		"ProductCodeType":           "type",
		"PublicIpAddress":           "ipAddress",
		"Reservations":              "reservationSet",
		"RevokedSecurityGroupRules": "revokedSecurityGroupRuleSet",
		"SecondaryInterfaces":       "secondaryInterfaceSet",
		"SecurityGroup.Description": "groupDescription",
		"SecurityGroupRules":        "securityGroupRuleSet",
		"SecurityGroups":            "securityGroupInfo",
		"StateTransitionReason":     "reason",
		"Subnets":                   "subnetSet",
		"Tags":                      "tagSet",
		"UnknownIpPermissions":      "unknownIpPermissionSet",
		"UserIdGroupPairs":          "groups",
		"Vpcs":                      "vpcSet",
	}
	return &dialect{
		item: "item", flat: true, plain: true,
		// "Error codes for the Amazon EC2 API".
		codes: map[string]string{
			"AccessDenied":               "UnauthorizedOperation",
			"ExpiredToken":               "RequestExpired",
			"IncompleteSignature":        "AuthFailure",
			"InternalFailure":            "InternalError",
			"MissingAuthenticationToken": "AuthFailure",
			"ServiceUnavailable":         "Unavailable",
			"SignatureDoesNotMatch":      "AuthFailure",
			"Throttling":                 "RequestLimitExceeded",
		},
		parameter: func(_ reflect.Type, field string) string { return cmp.Or(parameters[field], field) },
		element: func(in reflect.Type, field string) string {
			return cmp.Or(elements[in.Name()+"."+field], elements[field], strings.ToLower(field[:1])+field[1:])
		},
	}
}
