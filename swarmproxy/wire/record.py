"""What is remembered of a request for those that keep account: who asked for what."""


class About:
    """What those that answer say of a request. The wire only carries it; what is not known is empty.

    `identity`: who asks; `route`: the kind of request, one of few; `object`: the name that it asks for; `node`: the
    engine that answered; `verdict`: whether it was allowed; `rule`: what decided that.
    """

    identity = ""
    route = ""
    object = ""
    node = ""
    verdict = ""
    rule = ""
