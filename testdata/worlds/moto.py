"""An AWS world for tests, made and judged through boto3 alone.

usage: moto.py ENDPOINT make   prints the ARNs of what it made
       moto.py ENDPOINT rules  prints every rule by meaning, for comparing
"""
import json
import sys

import boto3

endpoint, what = sys.argv[1:3]
settings = dict(region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x")
elb, ec2 = boto3.client("elbv2", **settings), boto3.client("ec2", **settings)

NODES = ["127.0.0.2", "127.0.0.3"]


def make():
    subnets = ec2.describe_subnets()["Subnets"]
    vpc = subnets[0]["VpcId"]
    ids = [s["SubnetId"] for s in subnets[:2]]

    def group(name, protocol, port):
        arn = elb.create_target_group(Name=name, Protocol=protocol, Port=port, VpcId=vpc, TargetType="ip",
                                      HealthCheckPath="/healthz/ready", HealthCheckProtocol="HTTP")["TargetGroups"][0]["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": n, "Port": port} for n in NODES])
        return arn

    def balancer(name, kind):
        return elb.create_load_balancer(Name=name, Type=kind, Subnets=ids)["LoadBalancers"][0]["LoadBalancerArn"]

    def listener(lb, protocol, port, *actions):
        return elb.create_listener(LoadBalancerArn=lb, Protocol=protocol, Port=port, DefaultActions=list(actions))["Listeners"][0]["ListenerArn"]

    def plain(arn):
        return {"Type": "forward", "TargetGroupArn": arn}

    def weighted(stickiness, *groups):
        config = {"TargetGroups": [{"TargetGroupArn": a, "Weight": w} for a, w in groups]}
        if stickiness:
            config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": 600}
        return {"Type": "forward", "ForwardConfig": config}

    def rule(listener, priority, actions, hosts, path=None):
        conditions = [{"Field": "host-header", "Values": hosts}]
        if path:
            conditions.append({"Field": "path-pattern", "Values": [path]})
        return elb.create_rule(ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=actions)["Rules"][0]["RuleArn"]

    out = {}
    old, new = group("public-old", "HTTPS", 30443), group("public-new", "HTTPS", 30444)
    foreign = group("foreign", "HTTPS", 31999)
    alb = balancer("public", "application")
    https = listener(alb, "HTTP", 443, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}})
    out["redirect"] = rule(https, 5, [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "wiki.real.example"}}], ["legacy.real.example"])
    out["argocd"] = rule(https, 10, [plain(old)], ["argocd.real.example"])
    out["path"] = rule(https, 9, [plain(old)], ["argocd.real.example"], "/api/*")
    out["oidc"] = rule(https, 20, [
        {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {
            "Issuer": "https://sso.real.example", "AuthorizationEndpoint": "https://sso.real.example/auth",
            "TokenEndpoint": "https://sso.real.example/token", "UserInfoEndpoint": "https://sso.real.example/userinfo",
            "ClientId": "gitlab", "ClientSecret": "keep-this-safe"}},
        {**plain(old), "Order": 2}], ["gitlab.real.example"])
    out["jira"] = rule(https, 30, [plain(old)], ["jira.real.example"])
    out["weighted"] = rule(https, 40, [weighted(True, (old, 60), (foreign, 20))], ["wiki.real.example"])
    out["shared"] = rule(https, 50, [plain(old)], ["*.shared.real.example"])
    # The new group is on the load balancer already, on a rule that no request reaches.
    rule(https, 49999, [plain(new)], ["cutover-warm.invalid"])
    elb.create_listener(LoadBalancerArn=alb, Protocol="HTTP", Port=80, DefaultActions=[
        {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}])

    nold, nnew = group("pass-old", "TCP", 32443), group("pass-new", "TCP", 32444)
    nlb = balancer("passthrough", "network")
    out["nlb"] = listener(nlb, "TCP", 443, weighted(False, (nold, 1), (nnew, 0)))
    print(json.dumps(out))


def meaning(action):
    action = {k: v for k, v in action.items() if k not in ("Order", "TargetGroupArn")}
    if action["Type"] == "authenticate-oidc":
        config = action["AuthenticateOidcConfig"]
        action["AuthenticateOidcConfig"] = {k: config[k] for k in sorted(config) if k not in ("ClientSecret", "UseExistingClientSecret")}
    return action


def forward(action):
    if action["Type"] != "forward":
        return meaning(action)
    config = action.get("ForwardConfig") or {"TargetGroups": [{"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}]}
    groups = [(g["TargetGroupArn"], g.get("Weight", 1)) for g in config["TargetGroups"]]
    if len(groups) == 1:
        groups = [(groups[0][0], 1)]
    stickiness = config.get("TargetGroupStickinessConfig", {})
    return {"Type": "forward", "Groups": sorted(groups), "Sticky": stickiness.get("DurationSeconds") if stickiness.get("Enabled") else None}


def rules():
    out = []
    for lb in elb.describe_load_balancers()["LoadBalancers"]:
        for l in elb.describe_listeners(LoadBalancerArn=lb["LoadBalancerArn"])["Listeners"]:
            out.append([l["ListenerArn"], "default", [], [forward(a) for a in l["DefaultActions"]]])
            for r in elb.describe_rules(ListenerArn=l["ListenerArn"])["Rules"]:
                if not r["IsDefault"]:
                    out.append([r["RuleArn"], r["Priority"], r["Conditions"], [forward(a) for a in r["Actions"]]])
    print(json.dumps(sorted(out, key=lambda r: r[:2]), indent=1, sort_keys=True))


{"make": make, "rules": rules}[what]()
