namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>Login status codes (RFC 7143, 11.13.5) as errors for people.</summary>
internal static class IscsiStatus
{
    /// <summary>The error of a refused login.</summary>
    public static BlockStorageException Error(
        IscsiLogin login, byte statusClass, byte detail, IReadOnlyList<(string Key, string Value)> answer) =>
        (statusClass, detail) switch
        {
            (1, _) => new BlockStorageException(BlockErrors.PortalUnreachable,
                $"The target has moved to another portal: {Readable(answer.Find("TargetAddress"))}.", login.Subject,
                "Find-IscsiTarget -PortalAddress ADDRESS"),
            (2, 1) when login.Chap is null => new BlockStorageException(BlockErrors.CredentialRequired,
                $"'{login.Subject}' wants a CHAP secret.", login.Subject),
            (2, 1) => new BlockStorageException(BlockErrors.ChapRejected,
                $"'{login.Subject}' refuses the CHAP secret of user '{login.Chap!.UserName}'.", login.Subject),
            (2, 2) => Denied(login, "does not let this initiator in"),
            // tgt and LIO answer "not found" to an initiator that has no access, so that it learns nothing.
            (2, 3) => Denied(login, "is not there, or does not let this initiator in"),
            (2, 4) => Denied(login, "was removed"),
            (3, _) => Unreachable(login, $"cannot take logins now (status {statusClass:x2}{detail:x2})"),
            _ => Unreachable(login, $"refuses the login (status {statusClass:x2}{detail:x2})"),
        };

    /// <summary>The error of a portal that gives no proper answer.</summary>
    public static BlockStorageException Unreachable(IscsiLogin login, string what, Exception? cause = null) =>
        new(BlockErrors.PortalUnreachable, $"The portal {login.Portal} {what}.", login.Portal.ToString(), cause: cause);

    private static BlockStorageException Denied(IscsiLogin login, string what) => new(BlockErrors.AccessDenied,
        $"The target '{login.Subject}' at {login.Portal} {what}: '{login.InitiatorIqn}'.", login.Subject);

    // What a peer says goes to a terminal.
    private static string Readable(string? text) =>
        text is null ? "unknown" : new string(text.Take(100).Where(c => c is > ' ' and < '\x7f').ToArray());
}
