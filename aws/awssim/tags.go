package awssim

import (
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func (s *Sim) describeTags(in *elb.DescribeTagsInput) (*elb.DescribeTagsOutput, error) {
	if err := s.checkTagged(in.ResourceArns); err != nil {
		return nil, err
	}
	descriptions := make([]types.TagDescription, len(in.ResourceArns))
	for i, arn := range in.ResourceArns {
		descriptions[i] = types.TagDescription{ResourceArn: new(arn), Tags: append([]types.Tag{}, s.tags[arn]...)}
	}
	return &elb.DescribeTagsOutput{TagDescriptions: descriptions}, nil
}

func (s *Sim) addTags(in *elb.AddTagsInput) (*elb.AddTagsOutput, error) {
	if err := s.checkTagged(in.ResourceArns); err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("Tags must be specified")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	merged := make([][]types.Tag, len(in.ResourceArns))
	for i, arn := range in.ResourceArns {
		tags := slices.Clone(s.tags[arn])
		for _, tag := range in.Tags {
			at := slices.IndexFunc(tags, func(t types.Tag) bool { return *t.Key == *tag.Key })
			if at < 0 {
				tags = append(tags, tag)
			} else {
				tags[at] = tag
			}
		}
		if len(tags) > maxTags {
			return nil, apiError("TooManyTags", "The maximum number of tags per resource is '%d'", maxTags)
		}
		merged[i] = tags
	}
	for i, arn := range in.ResourceArns {
		s.tags[arn] = merged[i]
	}
	return &elb.AddTagsOutput{}, nil
}

func (s *Sim) removeTags(in *elb.RemoveTagsInput) (*elb.RemoveTagsOutput, error) {
	if err := s.checkTagged(in.ResourceArns); err != nil {
		return nil, err
	}
	for _, arn := range in.ResourceArns {
		s.tags[arn] = slices.DeleteFunc(slices.Clone(s.tags[arn]), func(t types.Tag) bool {
			return slices.Contains(in.TagKeys, *t.Key)
		})
	}
	return &elb.RemoveTagsOutput{}, nil
}

// setTags gives a new resource its first tags, checked beforehand.
func (s *Sim) setTags(arn string, tags []types.Tag) {
	if len(tags) > 0 {
		s.tags[arn] = slices.Clone(tags)
	}
}

// checkTagged holds a list of resources to AWS's length, and each to exist.
func (s *Sim) checkTagged(arns []string) error {
	if len(arns) == 0 {
		return invalid("Resource ARNs must be specified")
	}
	if len(arns) > maxTagARNs {
		return invalid("Only '%d' resources can be given at a time, not '%d'", maxTagARNs, len(arns))
	}
	for _, arn := range arns {
		if err := s.checkExists(arn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sim) checkExists(arn string) error {
	var err error
	switch {
	case checkARN(&arn, "loadbalancer", "") == nil:
		_, err = s.findLoadBalancer(&arn)
	case checkARN(&arn, "listener", "") == nil:
		_, err = s.findListener(&arn)
	case checkARN(&arn, "listener-rule", "") == nil:
		_, err = s.findRule(&arn)
	default:
		_, err = s.findGroup(&arn)
	}
	return err
}

// checkTags holds tags to AWS's form.
func checkTags(tags []types.Tag) error {
	if len(tags) > maxTags {
		return apiError("TooManyTags", "The maximum number of tags per resource is '%d'", maxTags)
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		key := aws.ToString(tag.Key)
		switch {
		case key == "" || len([]rune(key)) > 128 || len([]rune(aws.ToString(tag.Value))) > 256:
			return invalid("The tag key '%s' or its value has not a valid length", shorten(key))
		case !tagText(key) || !tagText(aws.ToString(tag.Value)):
			return invalid("The tag key '%s' or its value has characters that are not allowed", shorten(key))
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalid("The tag key '%s' is reserved: it begins with 'aws:'", shorten(key))
		case seen[key]:
			return apiError("DuplicateTagKeys", "The tag key '%s' is given more than once", shorten(key))
		}
		seen[key] = true
	}
	return nil
}

// tagText says whether all characters of a text may stand in a tag: letters,
// separators, numbers and a few others.
func tagText(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool {
		return !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", c)
	})
}
