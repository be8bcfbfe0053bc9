using System.Globalization;
using System.Security.Cryptography;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>Who logs in where, and with what.</summary>
/// <param name="Portal">Portal.</param>
/// <param name="Iqn">Target; empty for a discovery session.</param>
/// <param name="InitiatorIqn">Who we are.</param>
/// <param name="Chap">Secret we prove; null for none.</param>
/// <param name="MutualChap">Secret the target must prove; null for none.</param>
/// <param name="Timeout">How long everything over this session may take.</param>
internal sealed record IscsiLogin(
    Portal Portal, string Iqn, string InitiatorIqn, ChapCredential? Chap, ChapCredential? MutualChap, TimeSpan Timeout)
{
    /// <summary>What errors name.</summary>
    public string Subject => Iqn.Length > 0 ? Iqn : Portal.ToString();
}

/// <summary>The login phase: security negotiation, then operational parameters (RFC 7143, 6.3).</summary>
internal sealed class IscsiNegotiation(IscsiLogin login)
{
    private const byte Transit = 0x80;
    private const byte OperationalStage = 1;
    private const byte FullFeaturePhase = 3;
    private readonly byte[] _challenge = RandomNumberGenerator.GetBytes(16);
    private readonly byte _identifier = RandomNumberGenerator.GetBytes(1)[0];
    private byte _stage;
    private bool _targetProved = login.MutualChap is null;

    /// <summary>What the first request says.</summary>
    public (byte Flags, IReadOnlyList<(string, string)> Pairs) First()
    {
        List<(string, string)> pairs = [("InitiatorName", login.InitiatorIqn)];
        pairs.Add(("SessionType", login.Iqn.Length > 0 ? "Normal" : "Discovery"));
        if (login.Iqn.Length > 0)
            pairs.Add(("TargetName", login.Iqn));
        // Without a secret CHAP is offered too: LIO hangs up on one that offers only None, and would not say what it wants.
        pairs.Add(("AuthMethod", login.Chap is null ? "None,CHAP" : login.MutualChap is null ? "CHAP,None" : "CHAP"));
        return (login.Chap is null ? Move(OperationalStage) : Stay(), pairs);
    }

    /// <summary>What to send after an answer; null when logged in.</summary>
    public (byte Flags, IReadOnlyList<(string, string)> Pairs)? Next(byte answerFlags, IReadOnlyList<(string Key, string Value)> answer)
    {
        if (answer.Find("CHAP_R") is { } response)
            CheckTarget(answer.Find("CHAP_N"), response);
        if ((answerFlags & Transit) != 0)
        {
            _stage = (byte)(answerFlags & 3);
            if (_stage != 0 && !_targetProved)
                throw TargetNotProved();
            return _stage switch
            {
                FullFeaturePhase => null,
                OperationalStage => (Move(FullFeaturePhase), Parameters()),
                _ => throw new InvalidDataException("The peer asks for a login stage that does not exist."),
            };
        }
        if (_stage == OperationalStage)
            return (Move(FullFeaturePhase), []);
        if (answer.Find("CHAP_C") is { } asked)
            return (Move(OperationalStage), Prove(answer.Find("CHAP_A"), answer.Find("CHAP_I"), asked));
        if (answer.Find("AuthMethod") == "CHAP")
        {
            return login.Chap is null
                ? throw new BlockStorageException(BlockErrors.CredentialRequired, $"'{login.Subject}' wants a CHAP secret.", login.Subject)
                : (Stay(), [("CHAP_A", "5")]);
        }
        return (Move(OperationalStage), []);
    }

    private byte Stay() => (byte)(_stage << 2);

    private byte Move(byte next) => (byte)(Transit | (_stage << 2) | next);

    private List<(string, string)> Prove(string? algorithm, string? index, string asked)
    {
        if (login.Chap is null || algorithm != "5" || Chap.Decode(asked) is not { } bytes
            || !byte.TryParse(index, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            throw new InvalidDataException("The peer sends a CHAP challenge that cannot be read.");
        // A peer that gives our own _challenge back wants us to compute the proof that it owes (RFC 7143, 12.1.3).
        if (bytes.AsSpan().SequenceEqual(_challenge))
            throw TargetNotProved();
        List<(string, string)> pairs =
            [("CHAP_N", login.Chap.UserName), ("CHAP_R", Chap.Response(number, login.Chap.Secret, bytes))];
        if (login.MutualChap is not null)
        {
            pairs.Add(("CHAP_I", _identifier.ToString(CultureInfo.InvariantCulture)));
            pairs.Add(("CHAP_C", Chap.Encode(_challenge)));
        }
        return pairs;
    }

    private void CheckTarget(string? name, string response)
    {
        if (login.MutualChap is not { } mutual)
            return;
        _targetProved = name == mutual.UserName && Chap.Proves(response, _identifier, mutual.Secret, _challenge);
        if (!_targetProved)
            throw TargetNotProved();
    }

    private BlockStorageException TargetNotProved() => new(BlockErrors.ChapRejected,
        $"The target at {login.Portal} could not prove its own CHAP secret: it is not the one it should be.", login.Subject);

    private List<(string, string)> Parameters()
    {
        List<(string, string)> pairs =
            [("HeaderDigest", "None"), ("DataDigest", "None"), ("MaxRecvDataSegmentLength", "262144")];
        if (login.Iqn.Length > 0)
        {
            pairs.AddRange([("MaxConnections", "1"), ("InitialR2T", "Yes"), ("ImmediateData", "No"),
                ("MaxBurstLength", "262144"), ("FirstBurstLength", "65536"), ("DefaultTime2Wait", "2"),
                ("DefaultTime2Retain", "0"), ("MaxOutstandingR2T", "1"), ("DataPDUInOrder", "Yes"),
                ("DataSequenceInOrder", "Yes"), ("ErrorRecoveryLevel", "0")]);
        }
        return pairs;
    }
}
